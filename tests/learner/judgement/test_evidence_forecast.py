"""What stored rows say of the evidence that a look needs."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtri

from event_schemas.experiment import Experiment
from event_schemas.experiment_sections import GuardrailSpec
from learner.examples.learner_errors import BoxNotLearnt, NothingToLearn
from learner.judgement.evidence_forecast import Assumption, forecast, next_share, traffic_of
from learner.judgement.gate_budget import GateBudget, gate_settings
from off_policy.logged_bandit import EvaluationError

HOUR = 3_600_000


def test_the_traffic_is_that_of_the_rows(experiment: Experiment, world: Any) -> None:
    traffic = traffic_of(world.rows(world.examples(4000)), experiment)
    assert traffic.rows_per_day == pytest.approx(8640, rel=0.01)
    assert traffic.requests_per_day == pytest.approx(2 * 8640, rel=0.01)
    assert 0.45 < traffic.judging_share < 0.55
    assert traffic.policy_weight == pytest.approx(9 / 0.875)
    assert traffic.base_weight == pytest.approx(8.0)


def test_more_lift_needs_fewer_rows_and_a_guardrail_without_lift_most(experiment: Experiment, world: Any) -> None:
    watching = experiment.model_copy(update={"guardrails": (GuardrailSpec(name="visits", kinds=("visit",)),)})
    examples = world.examples(4000)
    rng = np.random.default_rng(0)
    for example in examples:
        reward = float(rng.random() < 0.4)
        told = {"objective": "visits", "count": reward, "reward": reward, "observed": True}
        example["outcome"]["objectives"].append(told)
    rows, budget = replace(world, experiment=watching).rows(examples), GateBudget(gate_settings(watching))
    small, large = (forecast(rows, watching, budget, Assumption(lift)) for lift in (0.1, 0.5))
    for name, before, after in zip(("repin", "p2p"), small.outcomes[:2], large.outcomes[:2], strict=True):
        assert (before.name, before.role) == (name, "optimise")
        assert after.explored_rows < before.explored_rows
        assert after.arm_requests < before.arm_requests
    guardrail = large.outcomes[2]
    assert (guardrail.name, guardrail.role, guardrail.lift) == ("visits", "guardrail", 0.0)
    assert large.days == guardrail.days > large.outcomes[0].days
    assert guardrail.arm_requests == math.inf
    assert math.isfinite(large.arm_requests_per_day)
    [alone] = forecast(rows, watching, budget, Assumption(0.5, objective="p2p")).outcomes
    assert alone.name == "p2p"
    content = json.loads(json.dumps(large.as_dict(), allow_nan=False))
    assert [each["name"] for each in content["outcomes"]] == ["repin", "p2p", "visits"]
    assert content["outcomes"][2]["arm_requests"] is None


def test_the_days_are_where_the_rows_come_together(experiment: Experiment, world: Any) -> None:
    rows, budget = world.rows(world.examples(4000)), GateBudget(gate_settings(experiment))
    found = forecast(rows, experiment, budget, Assumption(0.1, objective="repin"))
    [outcome] = found.outcomes
    assert outcome.explored_rows == pytest.approx(outcome.days * found.traffic.rows_per_day, rel=0.01)
    assert found.screens == (outcome.days <= 14)
    assert outcome.exploration_rate is not None
    assert (outcome.exploration_rate < 0.5) == (outcome.days < 14), (
        "the rate that suffices is lower if 14 days are long"
    )


def test_where_everything_explores_no_experiment_can_run(experiment: Experiment, world: Any) -> None:
    all_of_it = experiment.experiment.model_copy(update={"exploration_rate": 1.0})
    file, budget = experiment.model_copy(update={"experiment": all_of_it}), GateBudget(gate_settings(experiment))
    found = forecast(world.rows(world.examples(500)), file, budget, Assumption())
    assert found.experiment_share == math.inf
    assert found.as_dict()["experiment_share"] is None


def test_a_later_look_needs_more(experiment: Experiment, world: Any) -> None:
    settings = gate_settings(experiment)
    fresh = GateBudget(settings)
    look = fresh.look_at(0, 6 * HOUR)
    assert look is not None
    later = fresh.after(look, 6 * HOUR, "inconclusive", {})
    assert next_share(later, 6 * HOUR) < next_share(fresh, 6 * HOUR) == 0.025
    rows = world.rows(world.examples(4000))
    [first], [second] = (
        forecast(rows, experiment, budget, Assumption(0.1, objective="repin")).outcomes for budget in (fresh, later)
    )
    assert second.explored_rows > first.explored_rows


def test_the_gates_minimum_of_rows_counts(experiment: Experiment, world: Any, make_experiment: Any) -> None:
    strict = make_experiment(gate={"min_matched_rows": 10_000, "margin": 0.1})
    rows, budget = world.rows(world.examples(4000)), GateBudget(gate_settings(experiment))
    [outcome] = forecast(rows, strict, budget, Assumption(0.9, objective="repin")).outcomes
    assert outcome.explored_rows == pytest.approx(10_000 * 9 / 0.875 / traffic_of(rows, strict).judging_share, rel=0.01)


def test_users_whose_rewards_are_alike_need_more_rows(experiment: Experiment, world: Any) -> None:
    """Forty users, each of whom always or never engages."""
    examples = world.examples(4000)
    for number, example in enumerate(examples):
        example["request"]["user_id"] = f"u{number % 40}"
        for outcome in example["outcome"]["objectives"]:
            outcome |= {"reward": float(number % 40 < 20), "count": float(number % 40 < 20)}
    budget = GateBudget(gate_settings(experiment))
    alike = forecast(world.rows(examples), experiment, budget, Assumption(0.5, objective="repin")).outcomes[0]
    assert alike.design_effect > 3


def test_what_says_too_little_is_an_error(experiment: Experiment, world: Any) -> None:
    rows, budget = world.rows(world.examples(300)), GateBudget(gate_settings(experiment))
    silent = experiment.experiment.model_copy(update={"exploration_rate": 0.0})
    alone = world.examples(300)
    for example in alone:
        example["request"]["user_id"] = "one"
    for few, file in (
        (rows.take(np.arange(0)), experiment),
        (rows.take(np.arange(1)), experiment),
        (rows.take(rows.arms == experiment.action_space.production_arm), experiment),
        (rows, experiment.model_copy(update={"experiment": silent})),
        (world.rows(alone), experiment),
    ):
        with pytest.raises(NothingToLearn, match="say too little of the traffic"):
            forecast(few, file, budget, Assumption())
    nothing = world.examples(300)
    for example in nothing:
        for outcome in example["outcome"]["objectives"]:
            outcome |= {"reward": 0.0, "count": 0.0}
    with pytest.raises(EvaluationError, match="leaves nothing to plan with"):
        forecast(world.rows(nothing), experiment, budget, Assumption())


def test_a_box_has_no_screen(make_experiment: Any, experiment: Experiment, world: Any) -> None:
    box = make_experiment(weights=[{"name": "repin", "production": 91.6, "low": 10, "high": 200}])
    with pytest.raises(BoxNotLearnt, match="no arms that a look could match"):
        forecast(world.rows(world.examples(10)), box, GateBudget(gate_settings(box)), Assumption())


def test_a_refresh_needs_fewer_rows_the_more_it_agrees(experiment: Experiment, world: Any) -> None:
    """What serves plays arms of its own, and the lift over it is 0; the need falls with the share that differs."""
    rows, budget = world.rows(world.examples(4000)), GateBudget(gate_settings(experiment))
    asked = [Assumption.of_refresh(agreement, objective="repin") for agreement in (0.0, 0.5, 1.0)]
    apart, half, alike = (forecast(rows, experiment, budget, each) for each in asked)
    assert apart.traffic.base_weight == pytest.approx(9 / 0.875)
    assert (apart.outcomes[0].lift, asked[2].agreement) == (0.0, 0.99)
    assert half.days < apart.days
    assert alike.days < half.days
    per_row = [each.outcomes[0].explored_rows / each.outcomes[0].design_effect for each in (apart, half)]
    shares = [next_share(budget, round(each.days * 24 * HOUR)) for each in (apart, half)]
    reach = [(-ndtri(share) - ndtri(0.2)) ** 2 for share in shares]
    assert per_row[1] / per_row[0] == pytest.approx(0.5 * reach[1] / reach[0], rel=0.01)
