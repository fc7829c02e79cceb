"""A named world as a run through serving needs it: requests, slates and responses made of the arrays of a WorldRun."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from event_schemas.records import HistoryItemRecord
from event_schemas.units import HOUR_MS
from serving_agent.decide import DecisionRequest, HeadSummaries
from simulator.traffic import TrafficPlan
from simulator.user_responses import Response, ResponseQueue
from simulator.visible_features import context_of, request_names
from simulator.worlds.catalogue import item_name
from simulator.worlds.engagements import attributions
from simulator.worlds.user_log import COHORTS
from simulator.worlds.world_run import WorldRun
from simulator.worlds.world_shape import HEADS, KINDS


class WorldStage:
    """A LiveWorld; engagements of kinds that the experiment does not count are not handed out."""

    ranker_version: str
    kinds: Sequence[str]

    def __init__(self, run: WorldRun, experiment: Experiment, label: str) -> None:
        self.run = run
        self.ranker_version = label
        self.kinds = [kind for kind in KINDS if kind in experiment.kinds]
        self.unit = experiment.exploration.id_unit
        self.responses = ResponseQueue(run.world.seed, ())
        self._attribution = attributions(experiment)
        self._columns = [KINDS.index(kind) for kind in self.kinds]

    def stride_end(self, time: int) -> int:
        """See LiveWorld: a stride ends with the hour, when features are refreshed."""
        return time - time % HOUR_MS + HOUR_MS

    def stride(self, part: TrafficPlan) -> StageStride:
        """See LiveWorld."""
        return StageStride(self, part)

    def take_due(self, time: int) -> Iterator[Response]:
        """See LiveWorld."""
        return self.responses.take_due(time)

    def rest(self) -> Iterator[Response]:
        """See LiveWorld."""
        return self.responses.rest()

    def true_values(self, plan: TrafficPlan, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """See LiveWorld."""
        return self.run.exact_values(plan, weights, self._attribution)[:, self._columns]


class StageStride:
    """A LiveStride of a named world."""

    def __init__(self, stage: WorldStage, part: TrafficPlan) -> None:
        self._stage = stage
        self._part = part
        self._seen = stage.run.features(part)
        self._summaries = stage.run.summaries(part)
        self._weights = np.empty((len(part), 2))

    def request(self, index: int) -> DecisionRequest:
        """See LiveStride."""
        part, seen = self._part, self._seen
        request_id, session_id = request_names(part, index, self._stage.unit)
        return DecisionRequest(
            request_id=request_id,
            user_id=f"user-{part.user[index]}",
            session_id=session_id,
            cohort=COHORTS[seen.cohort[index]],
            user_embedding=seen.embedding[index].tolist(),
            context=context_of(part, index),
            history=self._history(index),
            event_time=int(part.time[index]),
        )

    def rank(self, index: int, weights: NDArray[np.float64]) -> Sequence[str]:
        """See LiveStride."""
        self._weights[index] = weights
        served = self._stage.run.rank(self._part.part(index, index + 1), weights[None])
        return [
            item_name(number)
            for number in served.places.item_numbers(self._stage.run.world.shape.candidates)[0].tolist()
        ]

    def heads(self, index: int) -> HeadSummaries:
        """See LiveStride."""
        count = self._stage.run.world.shape.candidates
        levels = self._summaries[index].tolist()
        return {
            head: {"count": count, "mean": mean, "p10": p10, "p50": p50, "p90": p90}
            for head, (mean, p10, p50, p90) in zip(HEADS, levels, strict=True)
        }

    def respond(self, logged: Mapping[int, str]) -> None:
        """See LiveStride."""
        run = self._stage.run
        engaged = run.react(self._part, run.rank(self._part, self._weights))
        done = engaged.done
        rows = zip(
            *(each.tolist() for each in (engaged.row, done.time, done.kind, done.item, engaged.copies)), strict=True
        )
        for row, time, kind, item, copies in rows:
            if row in logged and KINDS[kind] in self._stage.kinds:
                for _ in range(copies):
                    self._stage.responses.put(Response(time, logged[row], KINDS[kind], item_name(item)))

    def _history(self, index: int) -> list[HistoryItemRecord]:
        past, length = self._seen.history, int(self._seen.lengths[index])
        looks = self._stage.run.world.catalogue.embedding.reshape(
            -1, self._stage.run.world.catalogue.embedding.shape[-1]
        )
        return [
            {
                "item_id": item_name(item),
                "action_type": KINDS[kind],
                "event_time": time,
                "embedding": looks[item].tolist(),
            }
            for item, kind, time in zip(
                *(each[index, each.shape[1] - length :].tolist() for each in (past.item, past.kind, past.time)),
                strict=True,
            )
        ]
