"""Whatever is wrong with what a run reads: it says so, and no user is served by what came of it."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from event_schemas.codec import Codec
from event_schemas.errors import TrimtabError
from event_schemas.experiment import Experiment
from learner.checkpoints.publishing import Publisher
from learner.examples.learner_errors import NothingToLearn, StoreDamaged
from learner.examples.segment_manifest import MANIFEST_NAME
from learner.examples.stored_files import EXAMPLES_FOLDER
from learner.judgement.gate import Verdict
from learner.learner_run import Learner
from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.experiment_reading import running_canary
from policy_store.records.objective_weights import ObjectiveWeights
from policy_store.records.signing import Role, SigningKey
from tests.learner.segment_samples import swap, truncate
from tests.learner_samples import NOW, World, ingested, tallied, trust_of

EXAMPLES = 1_500
Example = dict[str, Any]


def learner_of(directory: Path, experiment: Experiment, examples: Sequence[Example]) -> tuple[Learner, Publisher]:
    key = SigningKey.generate(Role.LEARNER, "m")
    store = MemoryStore("small", clock=lambda: NOW)
    publisher = Publisher(store, key, experiment, lambda: NOW, trust_of(key, experiment))
    return Learner(
        experiment, directory, lambda: NOW, publisher, tallies=lambda: tallied(experiment, examples)
    ), publisher


@pytest.fixture
def world(experiment: Experiment, codec: Codec) -> World:
    """Examples a minute apart: all of them span the window of a run."""
    return World(experiment, codec, spacing_ms=60_000)


def edit_rows(directory: Path) -> None:
    """The manifest says that a segment has a row more."""
    path = directory / MANIFEST_NAME
    content = json.loads(path.read_bytes())
    content["segments"][0]["rows"] += 1
    path.write_text(json.dumps(content))


def of_another_directory(directory: Path) -> None:
    """Two segments change places, so that each has the other's hash in the manifest."""
    swap(sorted(directory.glob("*.parquet"))[0], 0.0)


def cut_short(directory: Path) -> None:
    truncate(sorted(directory.glob("*.parquet"))[-1], 0.7)


def without_manifest(directory: Path) -> None:
    (directory / MANIFEST_NAME).unlink()


@pytest.mark.parametrize("damage", [edit_rows, of_another_directory, cut_short, without_manifest])
def test_damaged_examples_end_the_run_and_nothing_is_published(
    world: World, experiment: Experiment, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    examples = world.examples(EXAMPLES)
    for part in (examples[:700], examples[700:]):
        ingested(world, part, tmp_path)
    damage(tmp_path / EXAMPLES_FOLDER)
    learner, publisher = learner_of(tmp_path, experiment, examples)
    with pytest.raises(StoreDamaged) as refused:
        learner.run(ObjectiveWeights.in_force(experiment))
    assert "--reread" in refused.value.fix
    assert publisher.store.versions() == learner.shelf.versions() == []


def no_numbers(example: Example) -> None:
    example["request"]["user_embedding"] = [float("nan")] * 4


def without_required(example: Example) -> None:
    example["request"]["context"] = []


def closed_early(example: Example) -> None:
    example["outcome"]["closed_early"] = True


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (no_numbers, "with an absurd feature"),
        (without_required, "without a required feature"),
        (closed_early, "closed early"),
    ],
)
def test_rows_of_no_use_are_told_and_nothing_is_published(
    world: World, experiment: Experiment, tmp_path: Path, spoil: Callable[[Example], None], said: str
) -> None:
    examples = world.examples(EXAMPLES)
    for example in examples:
        spoil(example)
    ingested(world, examples, tmp_path)
    learner, publisher = learner_of(tmp_path, experiment, examples)
    with pytest.raises(NothingToLearn, match=said):
        learner.run(ObjectiveWeights.in_force(experiment))
    assert publisher.store.versions() == learner.shelf.versions() == []


@pytest.mark.parametrize("examples", [0, 1, 60])
def test_an_empty_window_is_told(world: World, experiment: Experiment, tmp_path: Path, examples: int) -> None:
    ingested(world, world.examples(examples), tmp_path)
    learner, publisher = learner_of(tmp_path, experiment, [])
    with pytest.raises(TrimtabError) as refused:
        learner.run(ObjectiveWeights.in_force(experiment))
    assert isinstance(refused.value, NothingToLearn) and "wait" in refused.value.fix
    assert publisher.store.versions() == []


@pytest.mark.parametrize("reward", [0.0, float("nan")])
def test_rewards_of_one_class_or_no_numbers_never_serve(
    world: World, experiment: Experiment, tmp_path: Path, reward: float
) -> None:
    examples = world.examples(EXAMPLES)
    for example in examples:
        for outcome in example["outcome"]["objectives"]:
            outcome["reward"] = reward
    ingested(world, examples, tmp_path)
    learner, publisher = learner_of(tmp_path, experiment, examples)
    report = learner.run(ObjectiveWeights.in_force(experiment))
    assert report.verdict.verdict is not Verdict.PASS
    assert publisher.store.channel("stable") is None
    assert running_canary(publisher.store, publisher.rule) is None
