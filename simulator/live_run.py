"""Runs serving through simulated days: decide, rank, confirm and engage, in order of event time.

Times come from the plan. Decisions and engagements are handed to the producers in time order, in strides of an hour. An
engagement with a decision of the current stride is handed over after all decisions of the stride. Before and after that
`settle` flushes, and may wait for the readers. Therefore no event overtakes another by more than an hour of event time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from event_schemas.slices import Slice
from simulator.decision_port import DecisionPort, logged_by
from simulator.live_world import LiveWorld
from simulator.traffic import TrafficPlan
from simulator.user_responses import Response

LARGEST_STRIDE = 512


class EngagementSink(Protocol):
    """Where engagements go; `producers.loggers.engagement_logger.EngagementLogger` is one."""

    def log(self, request_id: str, kind: str, *, event_time: int, item_id: str | None = None) -> str:
        """Logs one engagement."""
        ...


@dataclass(frozen=True)
class LiveRunReport:
    """The decisions of a run and their true value.

    `mean_weights` is by slice, then weight. `true_value` and `true_production_value` are the exact E[reward] by
    objective over the POLICY decisions, or over all decisions if there are none.
    """

    decisions: int
    slices: dict[str, int]
    engagements: int
    last_event_time: int
    mean_weights: dict[str, dict[str, float]]
    true_value: dict[str, float]
    true_production_value: dict[str, float]

    def true_lift(self) -> dict[str, float]:
        """Relative lift over production by objective."""
        return {name: self.true_value[name] / self.true_production_value[name] - 1 for name in self.true_value}

    def as_dict(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return {**self.__dict__, "true_lift": self.true_lift()}


class LiveRun:
    """One pass over a traffic plan; request i goes to port i modulo the number of ports."""

    def __init__(
        self,
        experiment: Experiment,
        world: LiveWorld,
        ports: Sequence[DecisionPort],
        sink: EngagementSink,
        settle: Callable[[int], None],
    ) -> None:
        """`settle(number of decisions so far)` is called after each stride's decisions and after its engagements."""
        self._is_logged = logged_by(experiment)
        self._names = experiment.action_space.weight_names
        self._production = experiment.action_space.weights[experiment.action_space.production_arm]
        self._world = world
        self._ports = ports
        self._sink = sink
        self._settle = settle
        self._engagements = 0
        self._last_event = 0
        self._slices: list[str] = []
        self._weights: list[tuple[float, ...]] = []

    def run(self, plan: TrafficPlan) -> LiveRunReport:
        """Runs the whole plan up to the last engagement and returns the report."""
        start = 0
        while start < len(plan):
            horizon = self._world.stride_end(int(plan.time[start]))
            stop = min(int(np.searchsorted(plan.time, horizon)), start + LARGEST_STRIDE, len(plan))
            self._stride(plan.part(start, max(stop, start + 1)))
            start = max(stop, start + 1)
            # Decisions and engagements go through queues of their own, one of which may lag behind the other.
            self._settle(start)
            for response in self._world.take_due(int(plan.time[min(start, len(plan) - 1)])):
                self._engage(response)
            self._settle(start)
        for response in self._world.rest():
            self._engage(response)
        self._settle(len(plan))
        return self._report(plan)

    def _stride(self, part: TrafficPlan) -> None:
        """Decides a stride of requests, then draws what users do with them."""
        stride, logged = self._world.stride(part), dict[int, str]()
        for index in range(len(part)):
            for response in self._world.take_due(int(part.time[index])):
                self._engage(response)
            request = stride.request(index)
            decision = self._ports[len(self._slices) % len(self._ports)].decide(request)
            weights = np.array([decision.weights[name] for name in self._names])
            items = stride.rank(index, weights)
            decision.applied(stride.heads(index), items, self._world.ranker_version)
            # Engagements with decisions that are not logged are left out, as a bridge would do.
            if self._is_logged(decision.request_id, str(decision.slice), request.user_id):
                logged[index] = decision.request_id
            self._slices.append(str(decision.slice))
            self._weights.append(tuple(weights.tolist()))
        self._last_event = max(self._last_event, int(part.time[-1]))
        stride.respond(logged)

    def _engage(self, response: Response) -> None:
        self._sink.log(response.request_id, response.kind, event_time=response.time, item_id=response.item_id)
        self._engagements += 1
        self._last_event = max(self._last_event, response.time)

    def _report(self, plan: TrafficPlan) -> LiveRunReport:
        slices, weights = np.array(self._slices), np.array(self._weights)
        judged = np.flatnonzero(slices == Slice.POLICY.value)
        judged = judged if judged.size else np.arange(len(slices))
        production = np.broadcast_to(self._production, weights.shape)
        return LiveRunReport(
            decisions=len(plan),
            slices=dict(Counter(self._slices)),
            engagements=self._engagements,
            last_event_time=self._last_event,
            mean_weights={
                name: dict(zip(self._names, weights[slices == name].mean(axis=0).tolist(), strict=True))
                for name in sorted(set(self._slices))
            },
            true_value=self._true_mean(plan, weights, judged),
            true_production_value=self._true_mean(plan, production, judged),
        )

    def _true_mean(self, plan: TrafficPlan, weights: NDArray[np.float64], rows: NDArray[np.int64]) -> dict[str, float]:
        parts = np.array_split(rows, max(1, len(rows) // 4096))
        values = [self._world.true_values(plan.take(part), weights[part]) for part in parts]
        return dict(zip(self._world.kinds, np.concatenate(values).mean(axis=0).tolist(), strict=True))
