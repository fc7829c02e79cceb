"""Slices, propensities and what a decision leaves in the log. Coins are recomputed here with hashlib alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from event_schemas.experiment import Experiment
from event_schemas.slices import Slice
from monitoring.metrics import ServingMetrics
from policy_store.records.objective_weights import ObjectiveWeights
from serving_agent.decide.decision_errors import InvalidRequest
from serving_agent.decide.fallback_reason import FallbackReason
from serving_agent.decide.snapshot import ServingSnapshot
from tests.conformance.vector_files import Case, cases
from tests.serving_agent.agent_desk import Desk, never_exploring, u
from tests.serving_samples import (
    NOW,
    catalogue_experiment,
    embedded,
    linear_graph,
    loaded,
    preferring,
    serving_experiment,
    slow_graph,
    snapshot_of,
)

HEADS = {"repin": {"count": 2000, "mean": 0.1, "p10": 0.02, "p50": 0.08, "p90": 0.3}}


@pytest.fixture
def desks() -> Iterator[list[Desk]]:
    opened: list[Desk] = []
    yield opened
    for desk in opened:
        desk.close()


@pytest.fixture
def experiment() -> Experiment:
    return serving_experiment()


def serving(desks: list[Desk], experiment: Experiment, **options: Any) -> Desk:
    """A desk whose stable policy chooses arm 2 for `repin` and arm 5 for `p2p`."""
    policy = loaded(experiment, preferring(experiment, repin=2, p2p=5))
    desks.append(Desk(experiment, snapshot_of(experiment, stable=policy), **options))
    return desks[-1]


def expected_slice(request_id: str, exploration: float, control: float) -> str:
    if u("explore", request_id) < exploration:
        return "EXPLORE"
    return "CONTROL" if u("control", request_id) < control else "POLICY"


def test_slices_arms_and_propensities_follow_the_coins(desks: list[Desk], experiment: Experiment) -> None:
    desk = serving(desks, experiment)
    for index in range(600):
        request_id = f"r{index}"
        decision = desk.decide(request_id)
        assert decision.slice == expected_slice(request_id, 0.1, 0.05)
        if decision.slice is Slice.EXPLORE:
            coin = u("arm", request_id)
            # Production (arm 9) below 1/8, else the nine grid arms in equal parts.
            expected = 9 if coin < 0.125 else int((coin - 0.125) / 0.875 * 9)
            assert decision.arm == expected
            assert decision.propensity == pytest.approx(0.125 if expected == 9 else 0.875 / 9, abs=1e-15)
            assert decision.facts.slice_probability == 0.1
        else:
            assert decision.propensity == 1.0
            assert decision.arm == (9 if decision.slice is Slice.CONTROL else 2)
            share = 0.05 if decision.slice is Slice.CONTROL else 0.95
            assert decision.facts.slice_probability == pytest.approx(0.9 * share)


@pytest.mark.parametrize("case", cases("slices"), ids=str)
def test_the_agent_decides_as_the_vectors_say(desks: list[Desk], case: Case) -> None:
    rates = case.given.model_dump(include={"salt", "exploration_rate", "control_rate", "log_rate"})
    rates |= {"exploration_unit": case.given.unit, "log_unit": case.given.log_unit}
    unusable = {} if case.given.policy_usable else {"user_embedding": ()}
    desk = serving(desks, serving_experiment(experiment=rates))
    facts = desk.decide(case.given.request_id, user_id=case.given.user_id, **unusable).facts
    assert {name: getattr(facts, name) for name in case.expected.model_dump()} == case.expected.model_dump(), case.why


def test_shares_are_those_of_the_experiment(desks: list[Desk], experiment: Experiment) -> None:
    desk = serving(desks, experiment)
    total = 4000
    slices = Counter(desk.decide(f"s{index}").slice for index in range(total))
    for name, share in ((Slice.EXPLORE, 0.1), (Slice.CONTROL, 0.045), (Slice.POLICY, 0.855)):
        sigma = (share * (1 - share) / total) ** 0.5
        assert abs(slices[name] / total - share) < 4.5 * sigma


def test_only_sampled_policy_decisions_are_logged(desks: list[Desk]) -> None:
    experiment = serving_experiment(experiment={"log_rate": 0.2})
    desk = serving(desks, experiment)
    for index in range(300):
        desk.decide(f"l{index}").applied()
    expected = {
        name
        for name in (f"l{index}" for index in range(300))
        if expected_slice(name, 0.1, 0.05) != "POLICY" or u("log", name) < 0.2
    }
    assert {record["request_id"] for record in desk.records("Request")} == expected
    assert {record["request_id"] for record in desk.records("Action")} == expected
    for record in desk.records("Propensity"):
        always = expected_slice(record["request_id"], 0.1, 0.05) != "POLICY"
        assert record["sampling_rate"] == (1.0 if always else 0.2)
    assert sum(desk.logger.decisions_by_slice().values()) == 300


def test_a_decision_counts_when_applied(desks: list[Desk]) -> None:
    desk = serving(desks, never_exploring())
    decision = desk.decide("r", user_id="u", session_id="s", cohort="CORE", context={"surface": "home", "hour": 3})
    assert desk.records("Action") == []
    assert decision.applied(HEADS, ["pin1", "pin2"], "ranker-7")
    assert not decision.applied(HEADS)

    [request], [action] = desk.records("Request"), desk.records("Action")
    [propensity], [ranking] = desk.records("Propensity"), desk.records("Ranking")
    assert request["context"] == [{"name": "surface", "value": "home"}, {"name": "hour", "value": "3"}]
    assert (request["user_id"], request["session_id"], request["cohort"]) == ("u", "s", "CORE")
    assert action == {
        "request_id": "r",
        "event_time": NOW,
        "slice": "POLICY",
        "arm": 2,
        "shadow_arm": None,
        "eligible": [],
        "weights": [10.0, 30.0],
        "action_space": desk.experiment.action_space.digest,
        "policy_version": "v1",
        "config_revision": 0,
        "experiment_arm": None,
        "fallback_reason": None,
        "shadow_weights": [],
    }
    assert (propensity["propensity"], propensity["slice_probability"], propensity["sampling_rate"]) == (1, 1, 1)
    assert propensity["exploration"] == desk.experiment.exploration.digest
    assert ranking["served"] == ["pin1", "pin2"]
    assert [head["head"] for head in ranking["heads"]] == ["repin"]
    assert desk.recent.heads() == {"repin": [0.1]}


def test_log_on_decide_counts_at_once(desks: list[Desk]) -> None:
    desk = serving(desks, never_exploring(), log_on_decide=True)
    decision = desk.decide("r")
    assert len(desk.records("Action")) == len(desk.records("Propensity")) == 1
    decision.applied(HEADS)
    assert len(desk.records("Action")) == 1
    assert desk.recent.heads() == {"repin": [0.1]}


def test_alpha_and_cohort_choose_the_arm(desks: list[Desk]) -> None:
    experiment = never_exploring()
    policy = loaded(experiment, preferring(experiment, repin=2, p2p=5))
    preference = ObjectiveWeights(7, (0.9, 0.1), {"CORE": (0.2, 0.8)})
    desk = Desk(experiment, ServingSnapshot(preference, stable=policy))
    desks.append(desk)
    assert desk.decide(cohort="REST").arm == desk.decide().arm == 2
    assert desk.decide(cohort="CORE").arm == 5
    assert desk.decide().config_revision == 7


def test_eligible_arms_bound_policy_and_exploration(desks: list[Desk]) -> None:
    desk = serving(desks, never_exploring())
    decision = desk.decide(eligible=np.array([5, 3, 5]))
    assert decision.arm == 5
    decision.applied()
    assert desk.records("Action")[0]["eligible"] == [3, 5]
    explorer = serving(desks, never_exploring(experiment={"exploration_rate": 1.0}))
    drawn = [explorer.decide(f"e{index}", eligible=[1, 4, 9]) for index in range(200)]
    assert {decision.arm for decision in drawn} == {1, 4, 9}
    for decision in drawn:
        assert decision.propensity == pytest.approx(0.125 if decision.arm == 9 else 0.875 / 2)


def test_exploring_needs_no_features_and_no_policy(desks: list[Desk]) -> None:
    desk = Desk(never_exploring(experiment={"exploration_rate": 1.0}))
    desks.append(desk)
    assert desk.decide(user_embedding=[]).slice is Slice.EXPLORE


def test_killed_explores_nothing_and_serves_production(desks: list[Desk], experiment: Experiment) -> None:
    pulled = [False]
    desk = serving(desks, experiment, killed=lambda: pulled[0])
    assert {desk.decide(f"k{index}").slice for index in range(200)} == {"EXPLORE", "CONTROL", "POLICY"}
    pulled[0] = True
    decisions = [desk.decide(f"k{index}") for index in range(200)]
    assert {decision.arm for decision in decisions} == {9}
    for index, decision in enumerate(decisions):
        control = u("control", f"k{index}") < 0.05
        assert decision.slice is (Slice.CONTROL if control else Slice.FALLBACK)
        assert decision.fallback_reason is (None if control else FallbackReason.KILLED)
        assert decision.facts.slice_probability == pytest.approx(0.05 if control else 0.95)
    pulled[0] = False
    desk.holder.swap(snapshot_of(experiment, stable=desk.holder.current.stable, killed=True))
    assert not any(desk.decide(f"k{index}").slice is Slice.EXPLORE for index in range(200))


def fallback_reason(desk: Desk, **fields: Any) -> FallbackReason | None:
    decision = desk.decide(**fields)
    assert (decision.slice, decision.arm) == (Slice.FALLBACK, 9)
    assert decision.weights == {"repin": 91.6, "p2p": 9.1}
    assert decision.policy_version == "production"
    return decision.fallback_reason


def test_fallback_reasons(desks: list[Desk]) -> None:
    experiment = never_exploring()
    desk = serving(desks, experiment)
    policy = desk.holder.current.stable
    assert fallback_reason(desk, user_embedding=[]) is FallbackReason.MISSING_FEATURES
    assert fallback_reason(desk, user_embedding=embedded(float("nan"))) is FallbackReason.MISSING_FEATURES
    for reason in (FallbackReason.DRIFT, FallbackReason.STALE):
        desk.holder.swap(snapshot_of(experiment, stable=policy, withheld=reason))
        assert fallback_reason(desk) is reason
    desk.holder.swap(snapshot_of(experiment))
    assert fallback_reason(desk) is FallbackReason.NO_POLICY
    desk.holder.swap(ServingSnapshot(ObjectiveWeights(0, None), stable=policy))
    assert fallback_reason(desk) is FallbackReason.NO_PREFERENCE


def test_a_network_that_answers_nonsense_falls_back(desks: list[Desk]) -> None:
    experiment = never_exploring()
    arms = experiment.action_space.arms
    broken = linear_graph(np.full((arms, 2), np.nan, dtype=np.float32))
    desk = Desk(experiment, snapshot_of(experiment, stable=loaded(experiment, broken)))
    desks.append(desk)
    assert fallback_reason(desk) is FallbackReason.INFERENCE_ERROR


def test_slow_inference_times_out_within_the_budget(desks: list[Desk]) -> None:
    experiment = never_exploring(serving={"budget_ms": 50})
    registry = CollectorRegistry()
    snapshot = snapshot_of(experiment, stable=loaded(experiment, slow_graph(experiment)))
    desk = Desk(experiment, snapshot, metrics=ServingMetrics(registry))
    desks.append(desk)
    assert fallback_reason(desk) is FallbackReason.TIME_OUT
    assert (registry.get_sample_value("trimtab_serving_decision_seconds_sum") or 0.0) < 1.0


def test_shadow_is_logged_and_never_served(desks: list[Desk]) -> None:
    experiment = serving_experiment(experiment={"log_rate": 0.5})
    shadow = loaded(experiment, preferring(experiment, repin=4), "v9")
    desk = Desk(experiment, snapshot_of(experiment, shadow=shadow))
    desks.append(desk)
    seen: Counter[tuple[str, bool, int | None]] = Counter()
    for index in range(300):
        decision = desk.decide(f"sh{index}")
        decision.applied()
        seen[decision.slice, decision.facts.logged, decision.shadow_arm] += 1
    assert {key for key in seen if key[0] != "EXPLORE"} == {
        (Slice.CONTROL, True, 4),
        (Slice.FALLBACK, True, 4),
        (Slice.FALLBACK, False, None),
    }
    assert {key[2] for key in seen if key[0] == "EXPLORE"} == {None}
    assert {action["shadow_arm"] for action in desk.records("Action") if action["slice"] != "EXPLORE"} == {4}


def test_one_objective_needs_no_preference(desks: list[Desk]) -> None:
    two = never_exploring()
    experiment = two.model_copy(update={"objectives": two.objectives[:1]})
    policy = loaded(experiment, preferring(experiment, repin=6))
    desk = Desk(experiment, snapshot_of(experiment, stable=policy))
    desks.append(desk)
    assert desk.decide().arm == 6


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"event_time": NOW}, "join.clock"),
        ({"eligible": [10]}, "outside 0..9"),
        ({"eligible": [-1]}, "outside 0..9"),
        ({"eligible": [1.5]}, "not a whole number"),
        ({"eligible": [[10**5000]]}, "not a whole number"),
        ({"request_id": ""}, "request_id is empty"),
        ({"request_id": "x" * 257}, "257 characters"),
        ({"request_id": "\ud800"}, "UTF-8"),
        ({"user_id": 7}, "UTF-8"),
        ({"user_id": "\ud800"}, "UTF-8"),
        ({"user_embedding": ["a"]}, "user_embedding"),
        ({"history": [{"item_id": "i"}]}, "action_type"),
    ],
)
def test_unusable_input_is_refused_and_not_logged(
    desks: list[Desk], experiment: Experiment, fields: dict[str, Any], message: str
) -> None:
    desk = serving(desks, experiment)
    with pytest.raises(InvalidRequest, match=message):
        desk.decide(**fields)
    assert desk.log.records("trimtab.events") == []


def test_replayed_experiments_give_their_own_time(desks: list[Desk]) -> None:
    desk = serving(desks, never_exploring(join={"clock": "replay"}))
    desk.decide("r", event_time=1234).applied()
    assert desk.records("Request")[0]["event_time"] == desk.records("Action")[0]["event_time"] == 1234


def test_metrics_count_slices_and_reasons(desks: list[Desk]) -> None:
    registry = CollectorRegistry()
    desk = serving(desks, never_exploring(), metrics=ServingMetrics(registry))
    desk.decide()
    desk.decide(user_embedding=[])
    name = "trimtab_serving_decisions_total"
    assert registry.get_sample_value(name, {"slice": "POLICY", "reason": ""}) == 1
    assert registry.get_sample_value(name, {"slice": "FALLBACK", "reason": "missing_features"}) == 1
    assert registry.get_sample_value("trimtab_serving_decision_seconds_count") == 2


def test_closed_agent_still_decides(desks: list[Desk]) -> None:
    desk = serving(desks, never_exploring())
    desk.agent.close()
    assert fallback_reason(desk) is FallbackReason.TIME_OUT


def test_catalogue_serves_its_declared_production_arm(desks: list[Desk]) -> None:
    desk = Desk(catalogue_experiment(experiment={"exploration_rate": 0.5, "control_rate": 1.0}))
    desks.append(desk)
    for index in range(50):
        decision = desk.decide(f"c{index}")
        assert decision.weights == {}
        if decision.slice is Slice.EXPLORE:
            assert decision.arm == int(u("arm", f"c{index}") * 3)
            assert decision.propensity == pytest.approx(1 / 3)
        else:
            assert (decision.slice, decision.arm) == (Slice.CONTROL, 1)
