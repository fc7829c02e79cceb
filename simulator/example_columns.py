"""Examples as columns, as the learner stores them: a frame made of arrays, without a record in between.

The columns are those of `event_schemas.columnar` for the newest Example, with text for slices. Partition is 0, and
offsets count the rows, since no log was joined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from event_schemas.units import DAY_MS
from simulator.arrow_columns import column, empty_lists, even_lists, lists, repeated, struct, texts
from simulator.homefeed import DEVICES
from simulator.traffic import TrafficPlan
from simulator.vector_agent import FALLBACK, SLICES, VectorAgent, VectorDecisions
from simulator.worlds.catalogue import item_name
from simulator.worlds.user_log import COHORTS, HISTORY_LENGTH
from simulator.worlds.world_run import RequestFeatures, WorldRun
from simulator.worlds.world_shape import HEADS, KINDS

THOUSAND = [str(step / 1000) for step in range(1001)]
TIE_MS = DAY_MS // 1000
"""Hours are rounded to thousandths of a day; at odd multiples of half of this they lie between two of them."""
Columns = dict[str, Any]


class RequestTexts(NamedTuple):
    """The ids and the session ids of requests."""

    ids: Sequence[str]
    sessions: Sequence[str]


class RankedRequests(NamedTuple):
    """What the ranker did: summaries [n, 5, 4] of its heads, and the numbers of the items served, [n, served]."""

    summaries: NDArray[np.float32]
    items: NDArray[np.int64]


class ExampleColumns:
    """Makes frames of examples of one run; `label` is the version that rankings are logged with."""

    def __init__(self, experiment: Experiment, agent: VectorAgent, run: WorldRun, label: str) -> None:
        self._experiment = experiment
        self._agent = agent
        self._label = label
        self._candidates = run.world.shape.candidates
        looks = run.world.catalogue.embedding
        self._looks = looks.reshape(-1, looks.shape[-1])
        self._items = [item_name(number) for number in range(len(self._looks))]
        self._rows = 0

    def request_columns(self, named: RequestTexts, part: TrafficPlan, seen: RequestFeatures) -> Columns:
        """The columns of Request."""
        rows = len(part)
        context = struct(name=repeated(("device", "hour"), rows), value=_context(part))
        previous = pa.struct({"event_time": pa.int64(), "weights": pa.list_(pa.float64())})
        return {
            "request_id": pa.array(named.ids),
            "event_time": part.time,
            "user_id": pa.array([f"user-{user}" for user in part.user.tolist()]),
            "session_id": pa.array(named.sessions),
            "cohort": texts(COHORTS, seen.cohort),
            "user_embedding": even_lists(pa.array(seen.embedding.ravel()), rows),
            "context": even_lists(context, rows),
            "history": self._histories(seen),
            "previous": empty_lists(rows, previous),
        }

    def frame(
        self, request: Columns, ranked: RankedRequests, decided: VectorDecisions, counts: NDArray[np.float64]
    ) -> pl.DataFrame:
        """Examples of the logged requests; `counts` [n, counted] are the engagements inside their windows."""
        keys = {name: request[name] for name in ("request_id", "event_time")}
        parts: Mapping[str, Columns] = {
            "request": request,
            "action": keys | self._action(decided),
            "propensity": keys | self._propensity(decided),
        }
        columns = {f"{part}_{name}": values for part, fields in parts.items() for name, values in fields.items()}
        columns["ranking"] = struct(**keys, **self._ranking(ranked))
        columns |= {f"outcome_{name}": values for name, values in self._outcome(request["event_time"], counts).items()}
        table = pa.table({name: column(values) for name, values in columns.items()})
        logged = table.filter(pa.array(decided.logged))
        offsets = np.arange(self._rows, self._rows + logged.num_rows, dtype=np.int64)
        self._rows += logged.num_rows
        found = pl.from_arrow(logged.append_column("outcome_offset", pa.array(offsets)))
        assert isinstance(found, pl.DataFrame)
        return found

    def _histories(self, seen: RequestFeatures) -> pa.Array:
        """Lists of the real engagements, which are at the end of each history."""
        real = np.arange(HISTORY_LENGTH) >= HISTORY_LENGTH - seen.lengths[:, None]
        item = seen.history.item[real]
        engagements = struct(
            item_id=texts(self._items, item),
            action_type=texts(KINDS, seen.history.kind[real]),
            event_time=seen.history.time[real],
            embedding=even_lists(pa.array(self._looks[item].ravel()), len(item)),
        )
        return lists(engagements, seen.lengths)

    def _action(self, decided: VectorDecisions) -> Columns:
        space, rows = self._experiment.action_space, len(decided.arm)
        reasons = pa.array([None, self._agent.fallback_reason], type=pa.string())
        return {
            "slice": texts([each.value for each in SLICES], decided.slice),
            "arm": decided.arm.astype(np.int32),
            "shadow_arm": pa.nulls(rows, pa.int32()),
            "eligible": empty_lists(rows, pa.int32()),
            "weights": even_lists(pa.array(space.weights[decided.arm].ravel()), rows),
            "action_space": repeated((space.digest,), rows),
            "policy_version": texts(self._agent.versions, decided.slice),
            "config_revision": np.full(rows, self._agent.snapshot.preference.revision, dtype=np.int64),
            "experiment_arm": pa.nulls(rows, pa.string()),
            "fallback_reason": reasons.take(pa.array((decided.slice == FALLBACK).astype(np.int64))),
            "shadow_weights": empty_lists(rows, pa.float64()),
        }

    def _propensity(self, decided: VectorDecisions) -> Columns:
        rows = len(decided.arm)
        return {
            "propensity": decided.propensity,
            "slice_probability": decided.slice_probability,
            "sampling_rate": decided.sampling_rate,
            "probabilities": empty_lists(rows, pa.float64()),
            "log_density": pa.nulls(rows, pa.float64()),
            "exploration": repeated((self._agent.settings.digest,), rows),
        }

    def _ranking(self, ranked: RankedRequests) -> Columns:
        rows, served = ranked.items.shape
        mean, low, middle, high = ranked.summaries.reshape(rows * len(HEADS), -1).T
        count = np.full(rows * len(HEADS), self._candidates, dtype=np.int64)
        heads = struct(head=repeated(HEADS, rows), count=count, mean=mean, p10=low, p50=middle, p90=high)
        items = texts(self._items, ranked.items)
        assert len(items) == rows * served
        return {
            "ranker_version": repeated((self._label,), rows),
            "heads": even_lists(heads, rows),
            "served": even_lists(items, rows),
        }

    def _outcome(self, time: NDArray[np.int64], counts: NDArray[np.float64]) -> Columns:
        rows, clips = len(counts), np.array([each.clip for each in self._experiment.counted])
        names = [each.name for each in self._experiment.counted]
        reward = np.minimum(counts, clips)
        every = struct(
            objective=repeated(names, rows),
            count=counts.ravel(),
            reward=reward.ravel(),
            observed=np.ones(counts.size, dtype=bool),
        )
        return {
            "objectives": even_lists(every, rows),
            "closed_early": np.zeros(rows, dtype=bool),
            "window_closed_at": time + self._experiment.window_ms,
            "partition": np.zeros(rows, dtype=np.int32),
        }


def _context(part: TrafficPlan) -> pa.Array:
    """Device and hour of each request, as texts one after the other; as `visible_features.context_of` gives them."""
    moment = part.time % DAY_MS
    step = np.rint(moment / TIE_MS).astype(np.int64)
    for row in np.flatnonzero(moment % TIE_MS == TIE_MS // 2).tolist():
        step[row] = round(round(int(moment[row]) / DAY_MS, 3) * 1000)
    known = [*DEVICES, *THOUSAND]
    return texts(known, np.column_stack([part.device, step + len(DEVICES)]))
