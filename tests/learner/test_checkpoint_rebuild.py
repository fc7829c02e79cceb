"""A checkpoint is trained again to the same values, or the error names what is gone."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment
from event_schemas.instant import epoch_ms
from event_schemas.units import DAY_MS
from learner.checkpoint_rebuild import Rebuild
from learner.checkpoints.checkpoint import CHECKPOINTS_FOLDER
from learner.examples.example_decoder import ExampleDecoder
from learner.examples.learner_errors import RebuildImpossible
from learner.examples.segment_store import SegmentStore
from learner.examples.stored_files import EXAMPLES_FOLDER
from learner.learner_run import Learner
from policy_store.records.objective_weights import ObjectiveWeights
from tests.learner_samples import World

FOREVER = 10**15


def rebuilding(learner: Learner, experiment: Experiment | None = None) -> Rebuild:
    return Rebuild(experiment or learner.experiment, learner.shelf, learner.examples_directory, {})


def add(learner: Learner, world: World, count: int, first: int) -> None:
    """Examples number `first` and following, after those that are stored."""
    with SegmentStore(learner.directory / EXAMPLES_FOLDER, "t.examples", FOREVER) as store:
        records = world.log(world.examples(count, first))
        store.append(ExampleDecoder(world.codec, world.experiment.action_space).decode(records).frame, {0: first})


@pytest.fixture(scope="module")
def continued(trained: Any, experiment: Experiment, codec: Codec, tmp_path_factory: pytest.TempPathFactory) -> Learner:
    """A learner whose second run continued the first; later examples were stored after it."""
    learner: Learner = trained.copied_to(tmp_path_factory.mktemp("continued"))
    world = World(experiment, codec)
    add(learner, world, 2_000, 6_000)
    report = learner.run(ObjectiveWeights.in_force(experiment))
    assert report.trained and report.checkpoint.manifest.parent == trained.report.checkpoint.version
    add(learner, world, 500, 8_000)
    return learner


@pytest.fixture
def learner(continued: Learner, tmp_path: Path) -> Learner:
    shutil.copytree(continued.directory, tmp_path, dirs_exist_ok=True)
    return Learner(continued.experiment, tmp_path, continued.clock)


def test_cold_and_warm_runs_are_repeated_to_the_same_values(continued: Learner) -> None:
    for version in continued.shelf.versions():
        found = rebuilding(continued).run(version)
        window = continued.shelf.manifest(version).window
        assert (found.examples, found.compared) == (window["examples"], window["holdout_examples"])
        assert found.same and found.difference <= 1e-6


def test_rows_that_are_gone_are_named_by_day(learner: Learner) -> None:
    version = learner.shelf.versions()[0]
    window = learner.shelf.manifest(version).window
    days = window["training_rows"]["days"]
    with SegmentStore(learner.examples_directory, "t.examples", FOREVER) as store:
        removed = store.forget_user("u7", FOREVER)["request_event_time"]
    times = removed.filter(removed.is_between(window["train_from"], window["train_to"] - 1))
    for day, count in days.items():
        first = epoch_ms(datetime.fromisoformat(f"{day}T00:00:00+00:00"))
        days[day] = count, count - times.is_between(first, first + DAY_MS - 1).sum()
    named = ", ".join(f"{left} of {count} on {day}" for day, (count, left) in days.items() if left < count)
    with pytest.raises(
        RebuildImpossible, match=f"rows are stored now: {named}; {len(removed)} explored decisions were"
    ):
        rebuilding(learner).run(version)


def test_an_example_that_came_after_the_training_is_named_with_its_day(
    learner: Learner, experiment: Experiment, codec: Codec
) -> None:
    version = learner.shelf.versions()[0]
    days = learner.shelf.manifest(version).window["training_rows"]["days"]
    count = days["2023-11-14"]
    [late] = World(experiment, codec).examples(1, 10)
    for part in ("request", "action", "propensity", "ranking"):
        late[part] |= {"request_id": "late", "event_time": late["request"]["event_time"] + 1}
    with SegmentStore(learner.examples_directory, "t.examples", FOREVER) as store:
        store.append(World(experiment, codec).decoded([late]), {0: 9_000})
    with pytest.raises(RebuildImpossible, match=f"rows are stored now: {count + 1} of {count} on 2023"):
        rebuilding(learner).run(version)


def test_a_checkpoint_of_an_earlier_release_is_refused_with_the_reason(learner: Learner) -> None:
    version = learner.shelf.versions()[0]
    checkpoint = learner.shelf.load(version)
    window = {name: each for name, each in checkpoint.manifest.window.items() if name != "training_rows"}
    old = checkpoint.manifest.model_copy(update={"version": f"{version}x", "window": window})
    learner.shelf.save(replace(checkpoint, manifest=old))
    with pytest.raises(RebuildImpossible, match="an earlier release trained it"):
        rebuilding(learner).run(f"{version}x")


def test_a_window_that_expired_is_named(learner: Learner) -> None:
    shutil.rmtree(learner.examples_directory)
    version = learner.shelf.versions()[1]
    [(day, count)] = learner.shelf.manifest(version).window["training_rows"]["days"].items()
    with pytest.raises(RebuildImpossible, match=f"rows are stored now: 0 of {count} on {day}"):
        rebuilding(learner).run(version)


def test_a_lost_parent_other_settings_and_an_unknown_version_are_named(
    learner: Learner, make_experiment: Callable[..., Experiment]
) -> None:
    first, second = learner.shelf.versions()
    document = learner.experiment.model_dump(mode="json")
    document["learner"]["seed"] = 8
    other = Experiment.model_validate(document)
    with pytest.raises(RebuildImpossible, match="other settings than it was trained with: learner"):
        rebuilding(learner, other).run(first)
    shutil.rmtree(learner.directory / CHECKPOINTS_FOLDER / first)
    with pytest.raises(RebuildImpossible, match=f"it continues {first}, which is not on this machine any more"):
        rebuilding(learner).run(second)
    with pytest.raises(
        RebuildImpossible, match=f"v0 cannot be rebuilt: it is not on this machine; there are: {second}"
    ):
        rebuilding(learner).run("v0")
