"""Which checkpoints a run continues and which it does not."""

import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract
from learner.checkpoints.checkpoint import CheckpointShelf
from learner.checkpoints.run_history import next_run
from learner.checkpoints.warm_start import LINEAGE_KEPT, Start, lineage_of, start_from
from learner.examples.learner_errors import CheckpointBroken
from learner.examples.training_window import Ancestor, WindowBounds
from learner.network.algorithm import make_algorithm


@pytest.fixture
def shelf(trained: Any, tmp_path: Path) -> CheckpointShelf:
    found: CheckpointShelf = trained.copied_to(tmp_path).shelf
    return found


def start(shelf: CheckpointShelf, experiment: Experiment, holdout_from: int = 2**60) -> Start:
    contract = FeatureContract.from_experiment(experiment)
    bounds = WindowBounds(0, holdout_from - 10, holdout_from, holdout_from + 10, 10)
    return start_from(partial(make_algorithm, experiment, contract), shelf, bounds, (experiment, contract))


def test_the_newest_checkpoint_is_continued(
    shelf: CheckpointShelf, experiment: Experiment, trained: Any, world: Any
) -> None:
    found = start(shelf, experiment)
    version = trained.report.checkpoint.version
    assert found.parent == version
    assert [ancestor.version for ancestor in found.lineage] == [version]
    inputs = world.rows(world.examples(5)).inputs
    fresh = make_algorithm(experiment, FeatureContract.from_experiment(experiment))
    assert not np.array_equal(found.algorithm.score(inputs), fresh.score(inputs))


def test_a_parent_trained_inside_the_holdout_is_not_continued(
    shelf: CheckpointShelf, experiment: Experiment, trained: Any
) -> None:
    window = trained.report.checkpoint.manifest.window
    outcomes_to = window["train_to"] + window["embargo_ms"]
    assert start(shelf, experiment, holdout_from=outcomes_to).parent is not None
    found = start(shelf, experiment, holdout_from=outcomes_to - 1)
    assert found.parent is None
    assert found.lineage == ()
    assert "into the hold-out" in found.why


def test_a_grandparent_trained_inside_the_holdout_is_not_forgotten(
    shelf: CheckpointShelf, experiment: Experiment, trained: Any
) -> None:
    checkpoint = trained.report.checkpoint
    window = checkpoint.manifest.window | {"lineage": [{"version": "grandparent", "train_to": 2**61, "embargo_ms": 0}]}
    update = {"window": window, "version": checkpoint.version + "x"}
    shelf.save(replace(checkpoint, manifest=checkpoint.manifest.model_copy(update=update)))
    assert start(shelf, experiment).parent == checkpoint.version


def test_other_contracts_start_cold(
    shelf: CheckpointShelf, make_experiment: Callable[..., Experiment], experiment: Experiment
) -> None:
    other = make_experiment(features={"user_embedding_dim": 4})
    assert "features" in start(shelf, other).why
    wider = make_experiment(learner={"state_dim": 16, "hidden_dims": [16, 16, 8]})
    assert "do not fit" in start(shelf, wider).why
    assert start(shelf, wider).parent is None


def test_a_parent_of_an_older_encoding_is_not_continued_and_the_run_says_so(
    shelf: CheckpointShelf, experiment: Experiment, trained: Any, tmp_path: Path
) -> None:
    [version] = shelf.versions()
    first = FeatureContract.from_experiment(experiment, encoding=1).digest
    manifest = shelf.manifest(version).model_copy(update={"feature_contract": first, "version": version + "x"})
    shelf.save(replace(trained.report.checkpoint, manifest=manifest))
    assert start(shelf, experiment).parent == version, "the one before it has the newest encoding"
    shutil.rmtree(tmp_path / "checkpoints" / version)
    why = f"cold: {version}x: it was trained with version 1 of the feature encoding, not 2"
    assert start(shelf, experiment).why == why


def test_a_refused_checkpoint_is_not_continued(shelf: CheckpointShelf, experiment: Experiment, trained: Any) -> None:
    checkpoint = trained.report.checkpoint
    evaluation = checkpoint.manifest.evaluation | {"verdict": "refuse", "run": 4}
    update = {"evaluation": evaluation, "version": checkpoint.version + "x"}
    shelf.save(replace(checkpoint, manifest=checkpoint.manifest.model_copy(update=update)))
    assert start(shelf, experiment).parent == checkpoint.version
    assert next_run(shelf) == 5


def test_a_broken_checkpoint_is_passed_over(shelf: CheckpointShelf, experiment: Experiment, tmp_path: Path) -> None:
    [version] = shelf.versions()
    (tmp_path / "checkpoints" / version / "weights.safetensors").write_bytes(b"")
    found = start(shelf, experiment)
    assert found.parent is None
    assert version in found.why


def test_the_first_run_is_cold_and_the_first_look(experiment: Experiment, tmp_path: Path) -> None:
    empty = CheckpointShelf(tmp_path / "none")
    assert start(empty, experiment).why == "cold: no earlier checkpoint on this machine"
    assert next_run(empty) == 1


def test_a_lineage_is_the_checkpoint_and_its_ancestors(trained: Any) -> None:
    manifest = trained.report.checkpoint.manifest
    window = manifest.window | {"lineage": [{"version": "old", "train_to": 5, "embargo_ms": 2}]}
    lineage = lineage_of(manifest.model_copy(update={"window": window}))
    own = Ancestor(manifest.version, manifest.window["train_to"], manifest.window["embargo_ms"])
    assert lineage == (own, Ancestor("old", 5, 2))
    with pytest.raises(CheckpointBroken, match="lineage"):
        lineage_of(manifest.model_copy(update={"window": {}}))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    spans=st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 100)), max_size=3 * LINEAGE_KEPT),
    holdout_from=st.integers(1_000, 1_200),
)
def test_a_long_lineage_is_kept_short_and_hides_no_overlap(
    trained: Any, spans: list[tuple[int, int]], holdout_from: int
) -> None:
    manifest = trained.report.checkpoint.manifest
    ancestors = [Ancestor(f"v{at}", *span) for at, span in enumerate(spans)]
    window = manifest.window | {"train_to": 0, "embargo_ms": 0, "lineage": [asdict(each) for each in ancestors]}
    found = lineage_of(manifest.model_copy(update={"window": window}))
    assert len(found) <= LINEAGE_KEPT + 1
    assert [each.version for each in found[1:LINEAGE_KEPT]] == [each.version for each in ancestors[: LINEAGE_KEPT - 1]]
    furthest = max((each.outcomes_to for each in ancestors), default=0)
    assert (max(each.outcomes_to for each in found) > holdout_from) == (furthest > holdout_from)
