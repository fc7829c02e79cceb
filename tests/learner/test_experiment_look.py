"""One look at an experiment: the figures, what they say, the budget, and the lifts that are kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from event_schemas.codec import Codec
from learner.examples.stored_files import EXAMPLES_FOLDER
from learner.experiment_look import error_budget_of, look_at, offline_lifts
from policy_store.decisions.canary_runs import CanaryRun
from tests.learner.arm_samples import START, counted_world, decision, store_in_segments
from tests.policy_store.experiment_samples import arm, plan
from tests.policy_store.store_samples import manifest


def test_a_look_has_the_figures_what_they_say_and_the_guardrails(codec: Codec, tmp_path: Path) -> None:
    world, rng = counted_world(codec), np.random.default_rng(2)
    examples = [
        decision(
            world,
            number,
            arm=f"exp/{('control', 'a')[number % 2]}",
            repin=float(rng.random() < (0.2, 0.5)[number % 2]),
            p2p=float(rng.poisson(2.0)),
            hide=float(rng.random() < 0.5),
        )
        for number in range(3000)
    ]
    store_in_segments(world, examples, tmp_path / EXAMPLES_FOLDER, 1000)
    planned = plan(START, arm("control", 0.5), arm("a", 0.5), id="exp", guardrails=("hide", "unknown"))
    look = look_at(planned, tmp_path, world.experiment, 0.05, 0.9)
    said = look.as_dict()
    json.dumps(said, allow_nan=False)
    assert said["arms"]["a"]["outcomes"]["repin"]["interval"]["level"] == 0.9
    sequential = said["sequential"]
    assert (sequential["error"], sequential["level"]) == (0.05, 0.9)
    assert sequential["arms"]["a"]["outcomes"]["repin"]["superior"]
    assert sequential["arms"]["a"]["outcomes"]["repin"]["interval"]["method"] == "confidence-sequence"
    assert said["guardrails"]["unknown"] == {"a": "undecided"}
    assert look.guardrails["hide"]["a"] == sequential["arms"]["a"]["outcomes"]["hide"]["state"]
    lifts = look.online_lifts("a")
    assert lifts["repin"]["interval"][0] < lifts["repin"]["one_look"][0] < lifts["repin"]["lift"]
    assert set(lifts) == set(said["outcomes"]), "signals too"


def test_a_canary_has_its_share_of_the_budget_and_an_experiment_of_people_all(codec: Codec) -> None:
    experiment = counted_world(codec).experiment
    runs = [CanaryRun("v1", 1, 2, 1), CanaryRun("v2", 2, 3, 2), CanaryRun("v1", 3, None, 3)]
    budget = experiment.gate.error_budget
    assert error_budget_of("sweep", experiment, runs) == budget
    assert error_budget_of("canary-v2", experiment, runs) == pytest.approx(budget * runs[1].budget_share)
    assert error_budget_of("canary-v1", experiment, runs) == pytest.approx(budget * runs[2].budget_share), "the newest"
    wide = experiment.model_copy(update={"gate": experiment.gate.model_copy(update={"error_budget": 0.9})})
    assert error_budget_of("sweep", wide, runs) < 0.5


def test_offline_lifts_are_those_the_gate_judged() -> None:
    lift = {"relative": 0.1, "relative_interval": {"lower": 0.0, "upper": 0.2, "level": 0.97, "method": "score"}}
    unknown = {"relative": None, "relative_interval": None}
    found = offline_lifts(manifest("x", evaluation={"lifts": {"repin": lift}, "guardrail_lifts": {"hide": unknown}}))
    assert found == {
        "repin": {"lift": 0.1, "interval": [0.0, 0.2], "level": 0.97},
        "hide": {"lift": None, "interval": None, "level": None},
    }
    assert offline_lifts(manifest("x", evaluation={})) == offline_lifts(manifest("x", evaluation={"lifts": 3})) == {}
