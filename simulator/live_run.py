"""Runs serving through simulated days: decide, rank, confirm and engage, in order of event time.

Times come from the plan. Decisions and engagements are handed to the producers in time order, in strides of an hour. An
engagement with a decision of the current stride is handed over after all decisions of the stride. Before and after that
`settle` flushes, and may wait for the readers. Therefore no event overtakes another by more than an hour of event time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from event_schemas.slices import Slice
from event_schemas.units import HOUR_MS
from simulator.decision_port import DecisionPort, logged_by
from simulator.homefeed import HEADS, OBJECTIVES, SERVED, TUNED_HEADS, Homefeed
from simulator.traffic import NUMBERS_PER_SEED, TrafficPlan
from simulator.user_responses import Response, ResponseQueue, ShownSlate
from simulator.visible_features import VisibleFeatures

STRIDE_MS = HOUR_MS
LARGEST_STRIDE = 512
RANKER_VERSION = "homefeed-1"
QUANTILES = (0.1, 0.5, 0.9)


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


@dataclass(frozen=True)
class LiveWorld:
    """The simulated side of a run: users, items, their features and responses."""

    feed: Homefeed
    features: VisibleFeatures
    responses: ResponseQueue


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
            horizon = int(plan.time[start]) + STRIDE_MS
            stop = min(int(np.searchsorted(plan.time, horizon)), start + LARGEST_STRIDE, len(plan))
            self._stride(plan.part(start, max(stop, start + 1)))
            start = max(stop, start + 1)
            # Decisions and engagements go through queues of their own, one of which may lag behind the other.
            self._settle(start)
            for response in self._world.responses.take_due(int(plan.time[min(start, len(plan) - 1)])):
                self._engage(response)
            self._settle(start)
        for response in self._world.responses.rest():
            self._engage(response)
        self._settle(len(plan))
        return self._report(plan)

    def _stride(self, part: TrafficPlan) -> None:
        """Decides a stride of requests, then draws what users do with them."""
        feed = self._world.feed
        candidates = feed.candidates(part.number)
        summaries = summarise_heads(candidates.heads)
        chosen = np.empty((len(part), SERVED), dtype=np.int64)
        slates: dict[int, ShownSlate] = {}
        for index in range(len(part)):
            for response in self._world.responses.take_due(int(part.time[index])):
                self._engage(response)
            request = self._world.features.request(part, index)
            decision = self._ports[len(self._slices) % len(self._ports)].decide(request)
            weights = np.array([decision.weights[name] for name in TUNED_HEADS])
            chosen[index] = feed.served(candidates.heads[index], weights)
            slate = _slate(part, index, decision.request_id, chosen[index])
            decision.applied(summaries[index], slate.items, RANKER_VERSION)
            # Engagements with decisions that are not logged are left out, as a bridge would do.
            if self._is_logged(decision.request_id, str(decision.slice), request.user_id):
                slates[index] = slate
            self._slices.append(str(decision.slice))
            self._weights.append(tuple(weights.tolist()))
        self._last_event = max(self._last_event, int(part.time[-1]))
        chance = feed.engagement_probability(part, candidates.appeal, chosen)
        self._world.responses.respond(list(slates.values()), chance[list(slates)])

    def _engage(self, response: Response) -> None:
        self._sink.log(response.request_id, response.kind, event_time=response.time, item_id=response.item_id)
        self._engagements += 1
        self._last_event = max(self._last_event, response.time)

    def _report(self, plan: TrafficPlan) -> LiveRunReport:
        slices, weights = np.array(self._slices), np.array(self._weights)
        judged = np.flatnonzero(slices == Slice.POLICY.value)
        judged = judged if judged.size else np.arange(len(slices))
        production = np.broadcast_to(self._world.feed.weights[-1], weights.shape)
        return LiveRunReport(
            decisions=len(plan),
            slices=dict(Counter(self._slices)),
            engagements=self._engagements,
            last_event_time=self._last_event,
            mean_weights={
                name: dict(zip(TUNED_HEADS, weights[slices == name].mean(axis=0).tolist(), strict=True))
                for name in sorted(set(self._slices))
            },
            true_value=self._true_mean(plan, weights, judged),
            true_production_value=self._true_mean(plan, production, judged),
        )

    def _true_mean(self, plan: TrafficPlan, weights: NDArray[np.float64], rows: NDArray[np.int64]) -> dict[str, float]:
        parts = np.array_split(rows, max(1, len(rows) // 4096))
        values = [self._world.feed.true_values_of(plan.take(part), weights[part]) for part in parts]
        return dict(zip(OBJECTIVES, np.concatenate(values).mean(axis=0).tolist(), strict=True))


def _slate(part: TrafficPlan, index: int, request_id: str, chosen: NDArray[np.int64]) -> ShownSlate:
    number = int(part.number[index])
    items = [f"item-{number % NUMBERS_PER_SEED}-{position}" for position in chosen]
    return ShownSlate(number, request_id, int(part.time[index]), items)


def summarise_heads(heads: NDArray[np.float32]) -> list[Mapping[str, Mapping[str, float]]]:
    """Per request {head: {count, mean, p10, p50, p90}} over its candidates; `heads` [n, candidates, heads]."""
    means = heads.mean(axis=1)
    quantiles = np.quantile(heads, QUANTILES, axis=1)
    count = heads.shape[1]
    return [
        {
            head: {
                "count": count,
                "mean": float(means[row, column]),
                **{f"p{100 * q:.0f}": float(quantiles[k, row, column]) for k, q in enumerate(QUANTILES)},
            }
            for column, head in enumerate(HEADS)
        }
        for row in range(len(heads))
    ]
