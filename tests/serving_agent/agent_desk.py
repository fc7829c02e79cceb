"""An agent with its log, and coins recomputed with hashlib alone."""

from __future__ import annotations

import hashlib
from typing import Any

from event_schemas.experiment import Experiment
from producers.delivery.memory_log import MemoryLog
from producers.loggers.decision_logger import DecisionLogger
from serving_agent.decide.decision import Decision
from serving_agent.decide.decision_request import DecisionRequest
from serving_agent.decide.policy_agent import AgentOptions, PolicyAgent
from serving_agent.decide.recent_traffic import RecentTraffic
from serving_agent.decide.snapshot import ServingSnapshot, SnapshotHolder
from tests.serving_samples import NOW, codec, embedded, logged, serving_experiment, snapshot_of


class Desk:
    """An agent with its log and the means to change its snapshot."""

    def __init__(self, experiment: Experiment, snapshot: ServingSnapshot | None = None, **options: Any) -> None:
        self.experiment = experiment
        self.log = MemoryLog()
        self.logger = DecisionLogger(codec(), self.log, "trimtab.events")
        self.holder = SnapshotHolder(snapshot_of(experiment) if snapshot is None else snapshot)
        self.recent = RecentTraffic()
        options = {"clock": lambda: NOW, **options}
        self.agent = PolicyAgent(experiment, self.logger, self.holder, self.recent, AgentOptions(**options))

    def decide(self, request_id: str | None = None, **fields: Any) -> Decision:
        fields.setdefault("user_embedding", embedded(0.0))
        return self.agent.decide(DecisionRequest(request_id=request_id, **fields))

    def records(self, name: str) -> list[dict[str, Any]]:
        self.logger.flush()
        return logged(self.log, name)

    def close(self) -> None:
        self.agent.close()
        self.logger.close()


def never_exploring(**sections: dict[str, Any]) -> Experiment:
    rates = {"exploration_rate": 0.0, "control_rate": 0.0, "log_rate": 1.0}
    return serving_experiment(experiment={**rates, **sections.pop("experiment", {})}, **sections)


def u(purpose: str, identifier: str, salt: str = "pepper") -> float:
    digest = hashlib.sha256(f"{salt}\x00{purpose}\x00{identifier}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
