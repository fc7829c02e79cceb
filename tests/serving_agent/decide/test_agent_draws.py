"""Every slice of every kind of action space by request and by session: coins, propensities, records, frequencies.

Coins are recomputed here with hashlib alone.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy import stats
from structlog.testing import capture_logs

from event_schemas.experiment import Experiment
from event_schemas.slices import Slice
from policy_store.records.objective_weights import ObjectiveWeights
from producers.delivery.memory_log import MemoryLog
from producers.loggers import AppliedDecision, DecisionLogger
from serving_agent.decide.decision import Decision
from serving_agent.decide.decision_request import DecisionRequest
from serving_agent.decide.fallback_reason import FallbackReason
from serving_agent.decide.loaded_policy import LoadedPolicy
from serving_agent.decide.policy_agent import AgentOptions, PolicyAgent
from serving_agent.decide.policy_answers import ArmProbabilities, BoxProposals
from serving_agent.decide.snapshot import SnapshotHolder
from simulator.reference_policies import NormalPolicy, SoftmaxPolicy
from tests.serving_samples import (
    NOW,
    box_experiment,
    catalogue_experiment,
    codec,
    embedded,
    loaded,
    logged,
    preferring,
    sampling,
    serving_experiment,
    snapshot_of,
)

RATES = {"exploration_rate": 0.3, "control_rate": 0.2, "log_rate": 0.6}
KINDS = {"grid": serving_experiment, "box": box_experiment, "catalogue": catalogue_experiment}
UNITS = ("request", "session")
MEAN, SD = (100.0, 5.0), (20.0, 3.0)


def policy_of(experiment: Experiment, version: str = "s1") -> LoadedPolicy:
    space = experiment.action_space
    network = NormalPolicy(MEAN, SD) if space.kind == "box" else SoftmaxPolicy(space.arms, 2)
    return sampling(experiment, network, version)


class CountingLogger(DecisionLogger):
    """A logger that also keeps what it was told of applied decisions."""

    applied: list[AppliedDecision]

    def log_applied(self, applied: AppliedDecision, *records: Any, **named: Any) -> bool:
        self.applied.append(applied)
        return super().log_applied(applied, *records, **named)

    def count_unlogged(self, applied: AppliedDecision) -> None:
        self.applied.append(applied)
        super().count_unlogged(applied)


class Desk:
    """An agent with its log."""

    def __init__(self, experiment: Experiment, policy: LoadedPolicy | None, **options: Any) -> None:
        self.experiment, self.log = experiment, MemoryLog()
        self.logger = CountingLogger(codec(), self.log, "trimtab.events")
        self.logger.applied = []
        shadow = options.pop("shadow", None)
        snapshot = snapshot_of(experiment, stable=policy, shadow=shadow)
        options = {"clock": lambda: NOW, **options}
        self.agent = PolicyAgent(experiment, self.logger, SnapshotHolder(snapshot), None, AgentOptions(**options))

    def decide(self, request_id: str | None = None, **fields: Any) -> Decision:
        decision = self.agent.decide(DecisionRequest(request_id, user_embedding=embedded(0.0), **fields))
        decision.applied()
        return decision

    def records(self, name: str) -> dict[str, dict[str, Any]]:
        self.logger.flush()
        return {record["request_id"]: record for record in logged(self.log, name)}

    def close(self) -> None:
        self.agent.close()
        self.logger.close()


@pytest.fixture
def desks() -> Iterator[list[Desk]]:
    opened: list[Desk] = []
    yield opened
    for desk in opened:
        desk.close()


def opened(desks: list[Desk], experiment: Experiment, policy: LoadedPolicy | None, **options: Any) -> Desk:
    desks.append(Desk(experiment, policy, **options))
    return desks[-1]


def u(purpose: str, identifier: str) -> float:
    digest = hashlib.sha256(f"pepper\x00{purpose}\x00{identifier}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def slice_of(unit: str, killed: bool = False) -> str:
    if not killed and u("explore", unit) < RATES["exploration_rate"]:
        return "EXPLORE"
    return "CONTROL" if u("control", unit) < RATES["control_rate"] else "FALLBACK" if killed else "POLICY"


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_slice_is_drawn_and_recorded(desks: list[Desk], kind: str, unit: str, killed: bool) -> None:
    experiment = KINDS[kind](experiment={**RATES, "exploration_unit": unit})
    desk = opened(desks, experiment, policy_of(experiment), killed=lambda: killed)
    space, digest = experiment.action_space, experiment.exploration.digest
    ids = [f"s{number // 3}~{number}" for number in range(240)]
    decisions = [desk.decide(request_id) for request_id in ids]
    actions, propensities = desk.records("Action"), desk.records("Propensity")
    rate = 0.0 if killed else RATES["exploration_rate"]
    for decision, applied in zip(decisions, desk.logger.applied, strict=True):
        request_id, facts = decision.request_id, decision.facts
        name = request_id.partition("~")[0] if unit == "session" else request_id
        assert decision.slice.value == slice_of(name, killed)
        chooses = decision.slice in (Slice.EXPLORE, Slice.POLICY)
        assert chooses or (decision.arm, decision.propensity) == (space.production_arm, 1.0)
        assert (decision.log_density is not None) == (kind == "box" and chooses and decision.arm == 0)
        assert applied == (decision.slice, decision.arm, NOW, digest, rate, name)
        assert facts.logged == (decision.slice in (Slice.EXPLORE, Slice.CONTROL) or u("log", name) < RATES["log_rate"])
        if facts.logged:
            assert list(decision.weights.values()) == actions[request_id]["weights"]
            assert list(decision.weights) == list(space.weight_names)
            said = propensities[request_id]
            assert (said["log_density"], said["propensity"]) == (decision.log_density, decision.propensity)
            assert (said["exploration"], said["probabilities"]) == (digest, list(facts.probabilities))
        else:
            assert request_id not in actions
            assert facts.probabilities == (), "a sidecar keeps thousands of decisions: 1,000 arms take 32 kB in each"
    wanted = {"CONTROL", "FALLBACK"} if killed else {"EXPLORE", "CONTROL", "POLICY"}
    assert {decision.slice.value for decision in decisions} == wanted
    if unit == "session":
        assert len({(d.request_id.partition("~")[0], d.slice, d.facts.logged) for d in decisions}) == 80


def test_explored_vectors_are_those_of_their_coins_and_density(desks: list[Desk]) -> None:
    experiment = box_experiment(experiment={"exploration_rate": 1.0, "production_share": 0.25})
    space, names = experiment.action_space, experiment.action_space.weight_names
    desk = opened(desks, experiment, None)
    sides = [
        stats.truncnorm((low - mean) / sd, (high - mean) / sd, mean, sd)
        for low, high, mean, sd in zip(space.low, space.high, (91.6, 9.1), SD, strict=True)
    ]
    decisions = [desk.decide(f"r{number}") for number in range(1_000)]
    produced = [decision for decision in decisions if decision.arm == 1]
    assert abs(len(produced) / 1_000 - 0.25) < 4.5 * math.sqrt(0.25 * 0.75 / 1_000)
    assert {(d.propensity, d.log_density, *d.weights.values()) for d in produced} == {(0.25, None, 91.6, 9.1)}
    vectors = [decision for decision in decisions if decision.arm == 0]
    assert {decision.propensity for decision in vectors} == {0.75}
    for column, (name, side) in enumerate(zip(names, sides, strict=True)):
        drawn = [decision.weights[name] for decision in vectors]
        assert stats.kstest(drawn, side.cdf).pvalue > 1e-4
        coins = [u(f"weight:{name}", decision.request_id) for decision in vectors]
        np.testing.assert_allclose(drawn, side.ppf(coins), rtol=0, atol=1e-9 * (space.high - space.low)[column])
    for decision in vectors[:100]:
        true = sum(
            side.logpdf(decision.weights[name]) + math.log(span)
            for name, side, span in zip(names, sides, space.high - space.low, strict=True)
        )
        assert decision.log_density == pytest.approx(true, abs=1e-9)


def test_a_served_distribution_is_as_frequent_as_it_says(desks: list[Desk]) -> None:
    experiment = serving_experiment(experiment={"exploration_rate": 0.0, "control_rate": 0.0, "log_rate": 1.0})
    policy, total = SoftmaxPolicy(experiment.action_space.arms, 2), 1_000
    desk = opened(desks, experiment, sampling(experiment, policy))
    decisions = [desk.decide(f"r{number}") for number in range(total)]
    counts = Counter(decision.arm for decision in decisions)
    for arm, probability in enumerate(policy.probabilities):
        assert abs(counts[arm] / total - probability) < 4.5 * math.sqrt(probability * (1 - probability) / total)
    # Inverse propensities count every arm as once in each decision, on average.
    ones = np.array([[(each.arm == arm) / each.propensity for arm in range(10)] for each in decisions])
    assert (np.abs(ones.mean(axis=0) - 1) < 4.5 * ones.std(axis=0) / math.sqrt(total)).all()
    assert {(each.slice, each.policy_version) for each in decisions} == {(Slice.POLICY, "s1")}


@pytest.mark.parametrize("eligible", [(), (0,), (1,), (0, 1)])
def test_a_box_with_eligible_arms_goes_on(desks: list[Desk], eligible: tuple[int, ...]) -> None:
    for exploring in (0.0, 1.0):
        experiment = box_experiment(experiment={"exploration_rate": exploring, "control_rate": 0.0})
        desk = opened(desks, experiment, policy_of(experiment))
        decisions = [desk.decide(f"r{number}", eligible=eligible) for number in range(60)]
        arms = {decision.arm for decision in decisions}
        assert arms <= set(eligible or (0, 1)) and min(each.propensity for each in decisions) > 0.0
        assert all((each.log_density is None) == (each.arm == 1) for each in decisions)
        assert {decision.slice for decision in decisions} == {Slice.EXPLORE if exploring else Slice.POLICY}


class Answering:
    """A network that gives one answer."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def score(self, feeds: Any, flag: Any = None) -> Any:
        return self.answer


FAULTS = [
    ("grid", ArmProbabilities(np.full((1, 10), np.nan))),
    ("grid", ArmProbabilities(np.full((1, 10), 0.2))),
    ("grid", ArmProbabilities(np.full((1, 9), 1 / 9))),
    ("grid", BoxProposals(np.array([MEAN]), np.array([SD]))),
    ("grid", None),
    ("box", BoxProposals(np.array([[1e9, 5.0]]), np.array([SD]))),
    ("box", BoxProposals(np.array([MEAN]), np.array([[0.0, 1.0]]))),
    ("box", ArmProbabilities(np.array([[0.5, 0.5]]))),
    ("box", np.full((1, 2, 2), 0.5, dtype=np.float32)),
    ("box", "nonsense"),
]


@pytest.mark.parametrize(("kind", "answer"), FAULTS)
def test_an_unusable_answer_is_an_inference_error(desks: list[Desk], kind: str, answer: Any) -> None:
    experiment = KINDS[kind](experiment={"exploration_rate": 0.0, "control_rate": 0.0, "log_rate": 1.0})
    broken = sampling(experiment, Answering(answer))
    decision = opened(desks, experiment, broken, shadow=broken).decide("r")
    assert (decision.slice, decision.fallback_reason) == (Slice.FALLBACK, FallbackReason.INFERENCE_ERROR)
    assert decision.arm == experiment.action_space.production_arm
    assert (decision.weights, decision.shadow_arm) == ({"repin": 91.6, "p2p": 9.1}, None)


def test_values_have_nothing_to_choose_from_in_a_box(desks: list[Desk]) -> None:
    experiment = box_experiment(experiment={"exploration_rate": 0.0, "control_rate": 0.0})
    policy = loaded(experiment, preferring(experiment, repin=0))
    assert opened(desks, experiment, policy).decide("r").fallback_reason is FallbackReason.INFERENCE_ERROR


def test_a_distribution_needs_a_preference_too(desks: list[Desk]) -> None:
    experiment = serving_experiment(experiment={"exploration_rate": 0.0, "control_rate": 0.0})
    desk = opened(desks, experiment, policy_of(experiment))
    desk.agent._snapshots.swap(  # type: ignore[attr-defined]
        snapshot_of(experiment, preference=ObjectiveWeights(0, None), stable=policy_of(experiment))
    )
    assert desk.decide("r").fallback_reason is FallbackReason.NO_PREFERENCE


def test_shadows_of_distributions_are_logged(desks: list[Desk]) -> None:
    rates = {"exploration_rate": 0.0, "control_rate": 0.0, "log_rate": 1.0}
    box, grid = box_experiment(experiment=rates), serving_experiment(experiment=rates)
    in_box = opened(desks, box, None, shadow=policy_of(box))
    in_box.decide("r")
    action = in_box.records("Action")["r"]
    assert (action["shadow_arm"], action["shadow_weights"], action["weights"]) == (0, list(MEAN), [91.6, 9.1])
    on_grid, serving = opened(desks, grid, None, shadow=policy_of(grid)), opened(desks, grid, policy_of(grid))
    for number in range(50):
        assert on_grid.decide(f"r{number}").shadow_arm == serving.decide(f"r{number}").arm
    assert {tuple(each["shadow_weights"]) for each in on_grid.records("Action").values()} == {()}


def test_ids_that_are_made_here_explore_by_session(desks: list[Desk]) -> None:
    by_session = serving_experiment(experiment={**RATES, "exploration_unit": "session"})
    desk = opened(desks, by_session, policy_of(by_session))
    for number in range(40):
        decisions = [desk.decide(session_id=f"session-{number}") for _ in range(3)]
        assert {decision.request_id.rpartition("~")[0] for decision in decisions} == {f"session-{number}"}
        assert {decision.slice.value for decision in decisions} == {slice_of(f"session-{number}")}
    assert "~" not in desk.decide(session_id="null").request_id
    assert desk.decide("given", session_id="s").request_id == "given"
    by_request = serving_experiment(experiment=RATES)
    assert "~" not in opened(desks, by_request, None).decide(session_id="s").request_id


def test_ids_that_are_made_here_are_logged_by_session_or_user(desks: list[Desk]) -> None:
    rates = {**RATES, "exploration_rate": 0.0, "control_rate": 0.0, "log_rate": 0.5}
    by_session = opened(desks, serving_experiment(experiment={**rates, "log_unit": "session"}), None)
    by_user = opened(desks, serving_experiment(experiment={**rates, "log_unit": "user"}), None)
    for name in (f"n{number}" for number in range(40)):
        together = [by_session.decide(session_id=name) for _ in range(3)]
        assert {decision.request_id.rpartition("~")[0] for decision in together} == {name}
        of_user = [by_user.decide(session_id="s", user_id=name) for _ in range(3)]
        assert not any("~" in decision.request_id for decision in of_user)
        in_log = u("log", name) < 0.5
        assert {decision.facts.logged for decision in (*together, *of_user)} == {in_log}


def test_large_units_are_looked_for_only_by_session(desks: list[Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving_agent.decide.large_units.WINDOW", 50)
    monkeypatch.setattr("serving_agent.decide.large_units.LEAST_SEEN", 0)
    for unit, log_unit, named in (
        ("session", None, {"s"}),
        ("request", None, set()),
        ("request", "session", {"s"}),
        ("request", "user", set()),
    ):
        units = {"exploration_unit": unit, "log_unit": log_unit}
        desk = opened(desks, serving_experiment(experiment={**RATES, **units}), None)
        for _ in range(5):
            desk.decide(session_id="s")
        watch = desk.agent._large_units
        assert (set() if watch is None else watch._told) == named


@pytest.mark.parametrize("field", ["exploration_unit", "log_unit"])
@pytest.mark.parametrize("unit", UNITS)
def test_an_id_that_leaves_its_session_out_is_told_of_only_by_session(desks: list[Desk], unit: str, field: str) -> None:
    desk = opened(desks, serving_experiment(experiment={**RATES, field: unit}), None)
    with capture_logs() as lines:
        desk.decide(session_id="s")
        desk.decide("s~1", session_id="s")
        assert not lines
        desk.decide("r1", session_id="s")
    assert [line["event"] for line in lines] == ["a request_id does not name its session"] * (unit == "session")
