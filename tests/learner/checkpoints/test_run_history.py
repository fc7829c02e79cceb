"""What the checkpoints of earlier runs say to the next one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from event_schemas.experiment import Experiment
from learner.checkpoints.checkpoint import Checkpoint, CheckpointShelf
from learner.checkpoints.run_history import budget_in_force, next_run, standing_checkpoint, unjudged_from
from learner.examples.training_window import LearningWindow, WindowBounds
from learner.judgement.gate_budget import GateBudget, gate_settings
from policy_store.records.objective_weights import ObjectiveWeights


@pytest.fixture
def shelf(tmp_path: Path, trained: Any) -> CheckpointShelf:
    shelf = CheckpointShelf(tmp_path / "checkpoints")
    shelf.save(trained.report.checkpoint)
    return shelf


def with_evaluation(checkpoint: Checkpoint, version: str, evaluation: dict[str, Any]) -> Checkpoint:
    update = {"version": version, "evaluation": evaluation}
    return replace(checkpoint, manifest=checkpoint.manifest.model_copy(update=update))


def window(world: Any, first: int) -> LearningWindow:
    """A window whose hold-out has 50 examples from number `first` on; nothing reads its training rows or bounds."""
    rows = world.rows(world.examples(50, first=first))
    return LearningWindow(WindowBounds(0, 1, 2, 3, 1), rows.take(np.arange(0)), rows, {})


def test_the_budget_is_that_after_the_newest_run(shelf: CheckpointShelf, experiment: Experiment, trained: Any) -> None:
    budget = budget_in_force(shelf, experiment)
    assert (budget.number, budget.spent) == (1, 0.025)
    assert budget.last is not None
    assert (budget.last.version, budget.last.verdict) == (trained.report.checkpoint.version, "pass")
    assert set(budget.last.lifts) == {"repin", "p2p"}
    assert budget_in_force(CheckpointShelf(Path("nowhere")), experiment) == GateBudget(gate_settings(experiment))
    assert unjudged_from(shelf, experiment) == trained.report.checkpoint.manifest.window["holdout_to"]


@pytest.mark.parametrize("damage", [None, 7, {"number": 1}, {"settings": 3}])
def test_a_budget_that_cannot_be_read_is_that_of_the_run_before(
    damage: Any, shelf: CheckpointShelf, experiment: Experiment, trained: Any
) -> None:
    checkpoint = trained.report.checkpoint
    evaluation = checkpoint.manifest.evaluation | {"budget": damage, "run": 2}
    shelf.save(with_evaluation(checkpoint, checkpoint.version + "x", evaluation))
    assert budget_in_force(shelf, experiment).spent == 0.025
    assert next_run(shelf) == 3


def test_looks_of_0_1_0_are_spent(tmp_path: Path, experiment: Experiment, trained: Any) -> None:
    shelf, checkpoint = CheckpointShelf(tmp_path / "old"), trained.report.checkpoint
    shelf.save(with_evaluation(checkpoint, "old", {"verdict": "inconclusive", "look": 3}))
    budget = budget_in_force(shelf, experiment)
    assert budget.spent == pytest.approx(0.05 * 6 / np.pi**2 * (1 + 1 / 4 + 1 / 9))
    assert budget.last is not None
    assert (budget.last.number, budget.last.version, budget.last.verdict) == (3, "old", "inconclusive")
    assert unjudged_from(shelf, experiment) == checkpoint.manifest.window["holdout_to"]
    assert next_run(shelf) == 4


def test_before_the_first_look_the_hold_out_of_the_newest_run_is_unjudged(
    tmp_path: Path, experiment: Experiment, trained: Any
) -> None:
    shelf, checkpoint = CheckpointShelf(tmp_path / "new"), trained.report.checkpoint
    nothing = GateBudget(gate_settings(experiment)).as_dict()
    shelf.save(with_evaluation(checkpoint, "new", checkpoint.manifest.evaluation | {"budget": nothing}))
    assert unjudged_from(shelf, experiment) == checkpoint.manifest.window["holdout_from"]
    assert unjudged_from(CheckpointShelf(tmp_path / "none"), experiment) is None


def test_a_checkpoint_stands_while_no_row_is_newer(
    shelf: CheckpointShelf, experiment: Experiment, world: Any, trained: Any
) -> None:
    preference = ObjectiveWeights.in_force(experiment)
    found = standing_checkpoint(shelf, window(world, 5950), experiment, preference)
    assert found == trained.report.checkpoint
    assert standing_checkpoint(shelf, window(world, 5951), experiment, preference) is None
    assert standing_checkpoint(CheckpointShelf(Path("nowhere")), window(world, 0), experiment, preference) is None


def test_other_settings_another_preference_or_damage_are_a_reason_to_train(
    shelf: CheckpointShelf, experiment: Experiment, world: Any, make_experiment: Any, tmp_path: Path
) -> None:
    rows, preference = window(world, 0), ObjectiveWeights.in_force(experiment)
    assert standing_checkpoint(shelf, rows, experiment, preference) is not None
    other = make_experiment(gate={"min_matched_rows": 20, "min_positives": 5})
    assert standing_checkpoint(shelf, rows, other, preference) is None
    assert standing_checkpoint(shelf, rows, experiment, ObjectiveWeights(7, (0.5, 0.5))) is None
    for path in (tmp_path / "checkpoints").glob("*/policy.onnx"):
        path.write_bytes(b"")
    assert standing_checkpoint(shelf, rows, experiment, preference) is None
