"""What the checkpoints of earlier runs say to the next one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from event_schemas.experiment import Experiment
from learner.checkpoints.checkpoint import Checkpoint, CheckpointShelf
from learner.checkpoints.run_history import (
    LastRun,
    PlannedRun,
    RunHistory,
    budget_in_force,
    last_run_of,
    next_run,
    unjudged_from,
)
from learner.examples.forgotten_decisions import ForgottenDecisions
from learner.examples.training_window import LearningWindow, WindowBounds
from learner.judgement.gate_budget import GateBudget, Look, gate_settings
from policy_store.records.objective_weights import ObjectiveWeights
from policy_store.records.store_errors import UnknownCheckpoint


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
    nowhere = CheckpointShelf(tmp_path / "none")
    assert unjudged_from(nowhere, experiment) is None
    looked = GateBudget(gate_settings(experiment)).after(Look(1, 0.025), 1000, "pass", {})
    assert unjudged_from(nowhere, experiment, LastRun(1, "elsewhere", looked)) == 1000


def planned(rows: LearningWindow, of: Experiment, **changes: Any) -> PlannedRun:
    budget = GateBudget(gate_settings(of))
    preference = ObjectiveWeights.in_force(of)
    return replace(PlannedRun(rows, of, preference, budget, sources="now"), **changes)


def test_a_checkpoint_stands_while_no_row_is_newer(
    shelf: CheckpointShelf, experiment: Experiment, world: Any, trained: Any
) -> None:
    history = RunHistory(shelf)
    assert history.standing(planned(window(world, 5950), experiment)) == trained.report.checkpoint
    assert history.standing(planned(window(world, 5951), experiment)) is None
    assert RunHistory(CheckpointShelf(Path("nowhere"))).standing(planned(window(world, 0), experiment)) is None


def forgotten(at: int, rows: LearningWindow) -> LearningWindow:
    return replace(rows, forgotten=ForgottenDecisions("list", 1, np.array([1]), np.array([at])))


def test_a_checkpoint_that_learnt_from_a_forgotten_user_does_not_stand(
    shelf: CheckpointShelf, experiment: Experiment, world: Any, trained: Any
) -> None:
    told, rows = trained.report.checkpoint.manifest.window, window(world, 0)
    history = RunHistory(shelf)
    assert history.standing(planned(forgotten(told["train_to"], rows), experiment)) is not None
    assert history.standing(planned(forgotten(told["train_to"] - 1, rows), experiment)) is None


@pytest.mark.parametrize(("train_to", "here", "stands"), [(51, False, False), (50, False, True), (51, True, True)])
def test_the_stores_checkpoint_does_not_stand_if_what_it_continued_learnt_from_one_and_is_deleted(
    train_to: int, here: bool, stands: bool, tmp_path: Path, experiment: Experiment, world: Any, trained: Any
) -> None:
    shelf, checkpoint = CheckpointShelf(tmp_path / "checkpoints"), trained.report.checkpoint
    ancestor = {"version": checkpoint.version if here else "gone", "train_to": train_to, "embargo_ms": 1}
    continued = checkpoint.manifest.model_copy(
        update={"version": "theirs", "window": checkpoint.manifest.window | {"lineage": [ancestor]}}
    )
    if here:
        shelf.save(checkpoint)
    stored = LastRun(2, "theirs", GateBudget(gate_settings(experiment)))
    history = RunHistory(shelf, stored, lambda _: replace(checkpoint, manifest=continued))
    assert (history.standing(planned(forgotten(50, window(world, 0)), experiment)) is not None) is stands


def test_other_settings_another_preference_or_damage_are_a_reason_to_train(
    shelf: CheckpointShelf, experiment: Experiment, world: Any, make_experiment: Any, tmp_path: Path
) -> None:
    rows, history = window(world, 0), RunHistory(shelf)
    assert history.standing(planned(rows, experiment)) is not None
    other = make_experiment(gate={"min_matched_rows": 20, "min_positives": 5})
    assert history.standing(planned(rows, other)) is None
    assert history.standing(planned(rows, experiment, preference=ObjectiveWeights(7, (0.5, 0.5)))) is None
    for path in (tmp_path / "checkpoints").glob("*/policy.onnx"):
        path.write_bytes(b"")
    assert history.standing(planned(rows, experiment)) is None


@pytest.mark.parametrize(
    ("look", "due", "sources", "stands"),
    [(1, True, "now", True), (None, True, "before", False), (None, True, "now", True), (None, False, "before", True)],
)
def test_a_checkpoint_without_a_look_stands_only_if_another_run_could_take_none(
    look: int | None, due: bool, sources: str, stands: bool, experiment: Experiment, world: Any, trained: Any
) -> None:
    """A due look was not taken, for example for want of tallies, and tallies have come since."""
    manifest = trained.report.checkpoint.manifest
    changed = manifest.model_copy(
        update={
            "evaluation": manifest.evaluation | {"look": look},
            "window": manifest.window | {"sources": sources},
        }
    )
    budget = GateBudget(gate_settings(experiment))
    if not due:
        budget = budget.after(Look(1, 0.025), 10, "inconclusive", {})
    assert planned(window(world, 5950), experiment, budget=budget).repeats(changed) is stands


def test_what_the_store_knows_counts_if_it_knows_more(
    shelf: CheckpointShelf, experiment: Experiment, trained: Any
) -> None:
    here = RunHistory(shelf).here(experiment)
    assert here is not None and (here.number, here.version) == (1, trained.report.checkpoint.version)
    nowhere = CheckpointShelf(Path("nowhere"))
    later = here.budget.after(Look(2, 0.004), here.budget.first_look or 0, "refuse", {})
    stored = LastRun(6, "elsewhere", later)
    for known in (shelf, nowhere):
        with capture_logs() as said:
            assert RunHistory(known, stored).budget(experiment) == later
        assert [line["unknown_to"] for line in said] == ["this machine"]
        assert RunHistory(known, stored).next_run() == 7
    emptied = LastRun(1, "x", GateBudget(gate_settings(experiment)))
    with capture_logs() as said:
        assert RunHistory(shelf, emptied).budget(experiment) == here.budget
    assert [(line["unknown_to"], line["spent"]) for line in said] == [("the policy store", 0.025)]
    with capture_logs() as said:
        assert RunHistory(shelf, here).budget(experiment) == here.budget
    assert said == []
    assert here.budget.last is not None
    theirs = replace(here.budget, last=replace(here.budget.last, version="theirs"))
    both = RunHistory(shelf, LastRun(1, "theirs", theirs)).budget(experiment)
    assert both.last is not None and (both.last.version, both.last.number) == ("theirs", 2)
    assert both.spent == 0.05, "each learner has taken a first look"


def test_a_newer_checkpoint_of_another_learner_stands_if_it_can_be_read(
    shelf: CheckpointShelf, experiment: Experiment, world: Any, trained: Any
) -> None:
    theirs = with_evaluation(trained.report.checkpoint, "theirs", trained.report.checkpoint.manifest.evaluation)
    budget, ask = GateBudget(gate_settings(experiment)), planned(window(world, 5950), experiment)

    def fetch(version: str) -> Checkpoint:
        if version != "theirs":
            raise UnknownCheckpoint(version, fix="")
        return theirs

    assert RunHistory(shelf, LastRun(2, "theirs", budget), fetch).standing(ask) == theirs
    assert RunHistory(shelf, LastRun(1, "theirs", budget), fetch).standing(ask) == theirs, "it is in the account"
    own = LastRun(1, trained.report.checkpoint.version, budget)
    assert RunHistory(shelf, own, fetch).standing(ask) == trained.report.checkpoint
    assert RunHistory(shelf, LastRun(2, "never published", budget), fetch).standing(ask) is None
    assert RunHistory(shelf, LastRun(2, "theirs", budget)).standing(ask) is None


def test_a_manifest_says_of_which_run_it_is(experiment: Experiment, trained: Any) -> None:
    manifest = trained.report.checkpoint.manifest
    assert last_run_of(manifest, experiment).number == 1
    old = manifest.model_copy(update={"evaluation": {"verdict": "inconclusive", "look": 3}})
    assert last_run_of(old, experiment).number == 3
    with pytest.raises(KeyError):
        last_run_of(manifest.model_copy(update={"evaluation": {}}), experiment)
