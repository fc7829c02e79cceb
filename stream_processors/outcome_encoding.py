"""Outcomes as Avro bytes: what a decision brought, objective by objective.

Most decisions share their sums with many others (no engagement; one click), so the bytes of the objectives are kept by
sums and only the rest is encoded anew.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from fastavro import parse_schema, schemaless_writer

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.errors import SchemaError
from event_schemas.registry import without_logical_types
from stream_processors.attribution import JoinRule
from stream_processors.complete_decisions import CompleteDecisions

SUMS_KEPT = 4096
OBJECTIVES = "objectives"


class OutcomeEncoder:
    """Encodes Outcomes under the newest schema; raises SchemaError when they do not begin with objectives."""

    def __init__(self, rule: JoinRule, codec: Codec, partition: int) -> None:
        fields = without_logical_types(codec.registry.newest(r.EXAMPLE).schema["fields"][-1]["type"])["fields"]
        if fields[0]["name"] != OBJECTIVES:
            raise SchemaError(f"Outcome begins with {fields[0]['name']}", mend=f"keep {OBJECTIVES} first in Outcome")
        self._objectives = rule.objectives
        self._window = rule.window_ms
        self._attributions = [objective.attribution_ms for objective in rule.objectives]
        self._all_observed = (True,) * len(rule.objectives)
        self._partition = partition
        self._head = parse_schema({"type": "record", "name": "OutcomeHead", "fields": fields[:1]})
        self._tail = parse_schema({"type": "record", "name": "OutcomeTail", "fields": fields[1:]})
        self._head_of = lru_cache(SUMS_KEPT)(self._encode_head)

    def encode(self, decisions: CompleteDecisions, closed_early_at: int | None) -> list[bytes]:
        """The outcome of each decision; they closed at the end of their windows, or early at this event time (ms).

        An objective whose attribution had not passed by then is not observed.
        """
        early = closed_early_at is not None
        times = decisions.request_times
        ends = [time + self._window if closed_early_at is None else closed_early_at for time in times]
        tails = self._tails(early, ends, decisions.request_offsets)
        if not early:
            heads = [self._head_of(totals, self._all_observed) for totals in decisions.totals]
        else:
            heads = [
                self._head_of(totals, tuple(end - time >= attribution for attribution in self._attributions))
                for totals, time, end in zip(decisions.totals, times, ends, strict=True)
            ]
        return [head + tail for head, tail in zip(heads, tails, strict=True)]

    def _tails(self, early: bool, ends: list[int], offsets: list[int]) -> list[bytes]:
        places = zip(ends, offsets, strict=True)
        return [
            _datum(
                self._tail,
                {"closed_early": early, "window_closed_at": end, "partition": self._partition, "offset": offset},
            )
            for end, offset in places
        ]

    def _encode_head(self, totals: tuple[float, ...], observed: tuple[bool, ...]) -> bytes:
        outcomes = [
            {
                "objective": objective.name,
                "count": total,
                "reward": min(total, objective.clip),
                "observed": seen,
            }
            for objective, total, seen in zip(self._objectives, totals, observed, strict=True)
        ]
        return _datum(self._head, {OBJECTIVES: outcomes})


def _datum(schema: Any, record: Mapping[str, Any]) -> bytes:
    sink = io.BytesIO()
    schemaless_writer(sink, schema, record)
    return sink.getvalue()
