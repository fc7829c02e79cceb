"""An agent that remembers what it served, and one that does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from event_schemas.experiment import Experiment
from producers.delivery.memory_log import MemoryLog
from producers.loggers.decision_logger import DecisionLogger
from serving_agent.decide.decision_errors import InvalidRequest
from serving_agent.decide.decision_request import DecisionRequest
from serving_agent.decide.policy_agent import AgentOptions, PolicyAgent
from serving_agent.decide.snapshot import SnapshotHolder
from tests.serving_samples import (
    NOW,
    box_experiment,
    codec,
    embedded,
    loaded,
    logged,
    preferring,
    serving_experiment,
    snapshot_of,
)


def experiment(remember: bool) -> Experiment:
    return serving_experiment(
        experiment={"exploration_rate": 0.0, "control_rate": 0.0, "log_rate": 1.0},
        features={"previous_length": 2},
        serving={"remember_previous": remember},
    )


@contextmanager
def agent_of(experiment: Experiment, policy: bool = True, **options: Any) -> Iterator[tuple[PolicyAgent, MemoryLog]]:
    """An agent whose clock gives NOW, NOW + 1, … and whose policy serves arm 2: repin 10, p2p 30."""
    stable = loaded(experiment, preferring(experiment, repin=2)) if policy else None
    log, times = MemoryLog(), iter(range(NOW, NOW + 1000))
    logger = DecisionLogger(codec(), log, "trimtab.events")
    holder = SnapshotHolder(snapshot_of(experiment, stable=stable))
    agent = PolicyAgent(experiment, logger, holder, options=AgentOptions(clock=lambda: next(times), **options))
    yield agent, log
    agent.close()
    logger.close()


def request(request_id: str, **fields: Any) -> DecisionRequest:
    return DecisionRequest(request_id, user_embedding=embedded(0.0), **fields)


def logged_previous(log: MemoryLog) -> dict[str, Any]:
    return {record["request_id"]: record["previous"] for record in logged(log, "Request")}


@pytest.mark.parametrize("log_on_decide", [False, True])
def test_what_was_applied_is_remembered_for_the_user_s_next_requests(log_on_decide: bool) -> None:
    with agent_of(experiment(True), log_on_decide=log_on_decide) as (agent, log):
        first = agent.decide(request("r1", user_id="u"))
        agent.decide(request("r2", user_id="u"))
        first.applied()
        agent.decide(request("r3", user_id="u"))
        agent.decide(request("r4", user_id="v"))
        agent.decide(request("r5", user_id="u", previous=[]))
        agent.decide(request("r6", user_id="u", previous=[{"event_time": NOW, "weights": {"p2p": 1, "repin": 2}}]))
    r1, r2 = ({"event_time": NOW + number, "weights": [10.0, 30.0]} for number in (0, 1))
    assert logged_previous(log) == {
        "r1": [],
        "r2": [r1] if log_on_decide else [],
        "r3": [r2, r1] if log_on_decide else [r1],
        "r4": [],
        "r5": [],
        "r6": [{"event_time": NOW, "weights": [2.0, 1.0]}],
    }
    assert (first.event_time, dict(first.weights)) == (NOW, {"repin": 10.0, "p2p": 30.0})


def test_production_counts_as_served() -> None:
    with agent_of(experiment(True), policy=False) as (agent, log):
        for number in range(3):
            agent.decide(request(f"r{number}", user_id="u")).applied()
    assert [each["weights"] for each in logged_previous(log)["r2"]] == [[91.6, 9.1], [91.6, 9.1]]


@pytest.mark.parametrize("boxed", [False, True])
def test_a_caller_that_changes_its_weights_does_not_change_what_is_remembered(boxed: bool) -> None:
    explored = box_experiment if boxed else serving_experiment
    remembering = explored(
        experiment={"exploration_rate": 1.0},
        features={"previous_length": 2},
        serving={"remember_previous": True},
    )
    with agent_of(remembering, policy=False) as (agent, log):
        for number in range(3):
            decision = agent.decide(request(f"r{number}", user_id="u"))
            weights = decision.weights
            assert isinstance(weights, dict)
            weights["bias"] = 1.0
            weights["repin"] = weights.pop("repin") / 2
            decision.applied()
    actions = logged(log, "Action")
    served = [{"event_time": action["event_time"], "weights": action["weights"]} for action in actions]
    assert logged_previous(log) == {"r0": [], "r1": [served[0]], "r2": [served[1], served[0]]}


def test_nothing_is_remembered_unless_the_file_says_so() -> None:
    with agent_of(experiment(False)) as (agent, log):
        for number in range(2):
            agent.decide(request(f"r{number}", user_id="u")).applied()
    assert logged_previous(log) == {"r0": [], "r1": []}


def test_a_catalogue_has_nothing_to_echo() -> None:
    document = serving_experiment().model_dump(mode="json", exclude={"weights", "catalogue"})
    arms = [{"name": name, "features": []} for name in "ab"]
    document["catalogue"] = {"production": "b", "features": [], "arms": arms}
    with (
        agent_of(Experiment.model_validate(document), policy=False) as (agent, _),
        pytest.raises(InvalidRequest, match="a catalogue has no weights"),
    ):
        agent.decide(request("r", previous=[{"event_time": NOW, "weights": {}}]))
