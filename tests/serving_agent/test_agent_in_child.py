"""An agent in a forked child: whatever its parent was doing at the fork, the child decides and is confirmed."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from typing import Any

from prometheus_client import CollectorRegistry

from monitoring.metrics import ServingMetrics
from producers.delivery.memory_log import MemoryLog
from producers.loggers.decision_logger import DecisionLogger
from serving_agent.decide.decision_request import DecisionRequest
from serving_agent.decide.policy_agent import AgentOptions, PolicyAgent
from serving_agent.decide.recent_traffic import RecentTraffic
from serving_agent.decide.snapshot import SnapshotHolder
from serving_agent.sidecar.unconfirmed_decisions import UnconfirmedDecisions
from tests.components.forking import in_child, outcome_of
from tests.serving_samples import (
    codec,
    embedded,
    loaded,
    preferring,
    q_network,
    serving_experiment,
    slow_graph,
    snapshot_of,
)

EXPERIMENT = serving_experiment(experiment={"exploration_rate": 0.0, "control_rate": 0.0, "log_rate": 1.0})
REQUEST = DecisionRequest(user_embedding=embedded(0.0))
HEADS = {"repin": {"count": 10, "mean": 0.5, "p10": 0.25, "p50": 0.5, "p90": 0.75}}


def decide_in_both() -> dict[str, Any]:
    """Both inference threads of the parent run a network that takes seconds, and every lock is held."""
    quick = loaded(EXPERIMENT, preferring(EXPERIMENT, repin=2), "quick")
    slow = loaded(EXPERIMENT, slow_graph(EXPERIMENT), "slow")
    log, recent, holder = MemoryLog(), RecentTraffic(), SnapshotHolder(snapshot_of(EXPERIMENT, stable=quick))
    logger, memory = DecisionLogger(codec(), log, "events"), UnconfirmedDecisions()
    options = AgentOptions(metrics=ServingMetrics(CollectorRegistry()))
    agent = PolicyAgent(EXPERIMENT, logger, holder, recent, options)
    memory.remember(made := agent.decide(REQUEST))
    holder.swap(snapshot_of(EXPERIMENT, stable=slow))
    busy = [threading.Thread(target=agent.decide, args=(REQUEST,)) for _ in range(2)]
    for thread in busy:
        thread.start()
    while recent.seen < 3:
        time.sleep(0.001)
    holder.swap(snapshot_of(EXPERIMENT, stable=quick))

    def child() -> dict[str, Any]:
        decision = memory.once("r1", lambda: agent.decide(REQUEST))
        return {
            "served": [decision.slice.value, decision.arm, decision.policy_version],
            "confirmed": [decision.applied(HEADS), decision.applied(HEADS)],
            "of the parent": made.applied(),
            "evidence": [recent.seen > 1, len(recent.heads()["repin"])],
            "logged": logger.flush().acknowledged,
        }

    with ExitStack() as held:
        for lock in (recent._lock, memory._lock, *memory._deciding, q_network(quick)._loading):
            held.enter_context(lock)
        told: dict[str, Any] = in_child(child)
    for thread in busy:
        thread.join()
    last = agent.decide(REQUEST)
    agent.close()
    return {**told, "parent": [last.policy_version, made.applied()]}


def test_a_child_decides_whatever_its_parent_is_doing() -> None:
    assert outcome_of(decide_in_both) == {
        "served": ["POLICY", 2, "quick"],
        "confirmed": [True, False],
        "of the parent": True,
        "evidence": [True, 1],
        # Request, Action, Propensity and Ranking, and Action and Propensity of the parent's decision.
        "logged": 6,
        "parent": ["quick", True],
    }
