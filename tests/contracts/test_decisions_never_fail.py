"""`decide` answers or names what is wrong with the caller's own input; nothing else ever leaves it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from event_schemas.experiment import Experiment
from event_schemas.slices import Slice
from producers.delivery.memory_log import MemoryLog
from producers.loggers.decision_logger import DecisionLogger
from serving_agent.decide.decision_errors import InvalidRequest
from serving_agent.decide.decision_request import DecisionRequest
from serving_agent.decide.policy_agent import AgentOptions, PolicyAgent
from serving_agent.decide.policy_answers import ArmProbabilities, BoxProposals, SamplingNetwork
from serving_agent.decide.recent_traffic import RecentTraffic
from serving_agent.decide.snapshot import SnapshotHolder
from simulator.reference_policies import NormalPolicy
from tests.serving_samples import (
    NOW,
    box_experiment,
    codec,
    embedded,
    loaded,
    logged,
    preferring,
    sampling,
    serving_experiment,
    snapshot_of,
)

FEATURES = {
    "user_embedding_dim": 4,
    "history_length": 2,
    "item_embedding_dim": 2,
    "context": [{"name": "hour", "kind": "number"}, {"name": "surface"}],
    "previous_length": 2,
}
EXPERIMENT = serving_experiment(
    experiment={"exploration_rate": 0.2, "control_rate": 0.2, "log_rate": 1.0},
    features=FEATURES,
    serving={"remember_previous": True},
)
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, 2**63, -1]),
    # Python refuses to print it, and Hypothesis prints what it samples from.
    st.just("too many digits").map(lambda _: 10**5000),
    st.floats(),
    st.text(st.characters(), max_size=4),
    st.binary(max_size=3),
    st.just("\ud800"),
    st.just(np.array([1.0, 2.0])),
)
NESTED = st.recursive(
    ANYTHING,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(st.characters(), max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
ITEM = st.fixed_dictionaries({}, optional=dict.fromkeys(("item_id", "action_type", "event_time", "embedding"), NESTED))
WEIGHTS = st.dictionaries(st.sampled_from(["repin", "p2p"]), st.floats() | ANYTHING, min_size=2)
EARLIER = st.fixed_dictionaries({"event_time": st.integers(NOW - 9, NOW) | ANYTHING, "weights": WEIGHTS | NESTED})
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("request_id", "user_id", "session_id", "cohort"), NESTED),
        "user_embedding": st.one_of(NESTED, st.lists(st.floats(), min_size=4, max_size=4)),
        "context": st.one_of(NESTED, st.dictionaries(st.sampled_from(["hour", "surface", "x"]), NESTED)),
        "history": st.one_of(NESTED, st.lists(ITEM, max_size=4)),
        "eligible": st.one_of(NESTED, st.lists(st.integers(-1, 10), max_size=4)),
        "event_time": NESTED,
        "previous": st.one_of(NESTED, st.lists(EARLIER, max_size=3)),
    },
)


SESSIONS = {"exploration_rate": 0.2, "control_rate": 0.2, "log_rate": 1.0, "exploration_unit": "session"}
BOX = box_experiment(experiment=SESSIONS, features=FEATURES)
BY_SESSION = serving_experiment(experiment=SESSIONS, features=FEATURES)


class Drawing:
    """A network whose answer is drawn by the test."""

    answer: Any = None

    def score(self, feeds: Any, flag: Any = None) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Desk:
    def __init__(self, experiment: Experiment = EXPERIMENT, network: SamplingNetwork | None = None) -> None:
        self.log = MemoryLog()
        self.logger = DecisionLogger(codec(), self.log, "trimtab.events")
        if network is None:
            policy = loaded(experiment, preferring(experiment, repin=2, p2p=5))
        else:
            policy = sampling(experiment, network)
        self.holder = SnapshotHolder(snapshot_of(experiment, stable=policy, shadow=policy))
        options = AgentOptions(clock=lambda: NOW)
        self.agent = PolicyAgent(experiment, self.logger, self.holder, RecentTraffic(), options)

    def close(self) -> None:
        self.agent.close()
        self.logger.close()


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.close()


@pytest.fixture(scope="module")
def box_desk() -> Iterator[Desk]:
    made = Desk(BOX, NormalPolicy([100.0, 5.0], [20.0, 3.0]))
    yield made
    made.close()


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(fields=FIELDS)
def test_any_input_is_answered_or_refused(desk: Desk, fields: dict[str, Any]) -> None:
    answered_or_refused(desk, fields)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(fields=FIELDS)
def test_any_input_is_answered_or_refused_in_a_box_by_session(box_desk: Desk, fields: dict[str, Any]) -> None:
    answered_or_refused(box_desk, fields)


def answered_or_refused(desk: Desk, fields: dict[str, Any]) -> None:
    dropped = desk.log.flush(0).dropped
    try:
        decision = desk.agent.decide(DecisionRequest(**fields))
    except InvalidRequest as fault:
        assert fault.fix
        return
    assert 0 < decision.propensity <= 1
    assert 0 < decision.facts.slice_probability <= 1
    decision.applied()
    # What was answered can be written down: a Request that Avro refuses would be lost in silence.
    assert desk.logger.flush().dropped == dropped


NUMBERS = st.one_of(
    st.floats(), st.floats(0.0, 1.0), st.sampled_from([0.1, 50.0, 91.6, 9.1, 1e-300, -0.0]), st.just(float("nan"))
)
ARRAYS = st.one_of(
    st.lists(st.lists(NUMBERS, min_size=2, max_size=2), max_size=2).map(lambda rows: np.array(rows, dtype=np.float64)),
    st.lists(st.floats(width=32), min_size=10, max_size=10).map(lambda row: np.array([row], dtype=np.float32)),
    st.integers(0, 9).map(lambda arm: np.eye(10)[[arm]]),
    st.just(np.array([[91.6, 9.1]])),
    st.just(np.array(["a"])),
    ANYTHING,
)
ANSWERS = st.one_of(
    st.builds(ArmProbabilities, ARRAYS),
    st.builds(BoxProposals, ARRAYS, ARRAYS),
    ARRAYS,
    st.just(ZeroDivisionError("nobody declared it")),
)


@pytest.fixture(scope="module")
def drawing_desks() -> Iterator[list[tuple[Desk, Drawing]]]:
    made = [(Desk(experiment, network), network) for experiment in (BY_SESSION, BOX) for network in [Drawing()]]
    yield made
    for desk, _ in made:
        desk.close()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(answer=ANSWERS, eligible=st.lists(st.integers(0, 1), max_size=2), session=ANYTHING, number=st.integers(0, 999))
def test_any_answer_of_a_policy_is_served_or_falls_back(
    drawing_desks: list[tuple[Desk, Drawing]], answer: Any, eligible: list[int], session: Any, number: int
) -> None:
    for desk, network in drawing_desks:
        network.answer = answer
        request_id = f"s~{number}" if number % 2 else None
        features = {"user_embedding": embedded(0.0), "context": {"hour": 1}}
        try:
            decision = desk.agent.decide(
                DecisionRequest(request_id, session_id=session, eligible=eligible, **features)  # type: ignore[arg-type]
            )
        except InvalidRequest as fault:
            assert "session_id" in str(fault)
            continue
        assert 0 < decision.propensity <= 1
        assert all(map(math.isfinite, decision.weights.values())) and len(decision.weights) == 2
        assert decision.slice is not Slice.POLICY or not eligible or decision.arm in eligible
        dropped = desk.log.flush(0).dropped
        decision.applied()
        assert desk.logger.flush().dropped == dropped


def test_control_and_fallback_serve_production_even_where_it_is_not_eligible() -> None:
    """`eligible` bounds what exploration and policies may choose; production is what there is today.

    Such decisions say so in their Action, and their propensity stays 1.
    """
    desk = Desk()
    seen: dict[Slice, set[int]] = {}
    try:
        for killed in (False, True):
            desk.holder.swap(snapshot_of(EXPERIMENT, stable=desk.holder.current.stable, killed=killed))
            for index in range(100):
                request = DecisionRequest(
                    f"{killed}-{index}", user_embedding=embedded(0.0), eligible=[1, 4], context={"hour": 1}
                )
                decision = desk.agent.decide(request)
                decision.applied()
                seen.setdefault(decision.slice, set()).add(decision.arm)
                assert decision.propensity == (0.5 if decision.slice is Slice.EXPLORE else 1.0)
    finally:
        desk.close()
    production = EXPERIMENT.action_space.production_arm
    assert seen == {
        Slice.EXPLORE: {1, 4},
        Slice.CONTROL: {production},
        Slice.POLICY: {1},
        Slice.FALLBACK: {production},
    }
    assert all(action["eligible"] == [1, 4] for action in logged(desk.log, "Action"))


def test_swaps_and_the_end_of_an_agent_are_seen_whole() -> None:
    """While policies are swapped and the agent is closed, every decision is one policy's or none's."""
    desk, stop, odd = Desk(), threading.Event(), []
    arms = {"a": 1, "b": 3}
    snapshots = [
        snapshot_of(EXPERIMENT, stable=loaded(EXPERIMENT, preferring(EXPERIMENT, repin=arm, p2p=arm), version))
        for version, arm in arms.items()
    ]

    def ask() -> None:
        while not stop.is_set():
            try:
                decision = desk.agent.decide(DecisionRequest(user_embedding=embedded(0.0)))
            except BaseException as fault:
                odd.append(repr(fault))
                return
            if decision.slice is Slice.POLICY and arms.get(decision.policy_version, 2) != decision.arm:
                odd.append(f"{decision.policy_version} with arm {decision.arm}")

    callers = [threading.Thread(target=ask) for _ in range(4)]
    for caller in callers:
        caller.start()
    for index in range(200):
        desk.holder.swap(snapshots[index % 2])
        time.sleep(0.001)
    desk.agent.close()
    time.sleep(0.05)
    stop.set()
    for caller in callers:
        caller.join()
    desk.close()
    assert odd == []
