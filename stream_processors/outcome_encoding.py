"""Outcomes as Avro bytes: what a decision brought, objective by objective.

Most decisions share their sums with many others (no engagement; one click), so the bytes of the objectives are kept by
sums and only the rest is encoded anew.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from fastavro import parse_schema, schemaless_writer

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.errors import SchemaError
from event_schemas.registry import without_logical_types
from stream_processors.attribution import JoinRule

SUMS_KEPT = 4096
OBJECTIVES = "objectives"


class OutcomeEncoder:
    """Encodes Outcomes under the newest schema of Example; raises SchemaError when they do not begin with objectives."""

    def __init__(self, rule: JoinRule, codec: Codec, partition: int) -> None:
        fields = without_logical_types(codec.registry.newest(r.EXAMPLE).schema["fields"][-1]["type"])["fields"]
        if fields[0]["name"] != OBJECTIVES:
            raise SchemaError(f"Outcome begins with {fields[0]['name']}", mend=f"keep {OBJECTIVES} first in Outcome")
        self._objectives = rule.objectives
        self._partition = partition
        self._head = parse_schema({"type": "record", "name": "OutcomeHead", "fields": fields[:1]})
        self._tail = parse_schema({"type": "record", "name": "OutcomeTail", "fields": fields[1:]})
        self._head_of = lru_cache(SUMS_KEPT)(self._encode_head)

    def encode(self, request: tuple[int, int], totals: Sequence[float], ended: int, closed_early: bool) -> bytes:
        """The outcome of the decision whose request stands at (offset, event time in ms) `request`.

        `totals` are sums of engagement values by objective; the window ended at `ended` (ms). An objective whose
        attribution had not passed by then is not observed.
        """
        offset, start = request
        passed = ended - start
        observed = tuple([passed >= objective.attribution_ms for objective in self._objectives])
        tail = {
            "closed_early": closed_early,
            "window_closed_at": ended,
            "partition": self._partition,
            "offset": offset,
        }
        return self._head_of(tuple(totals), observed) + _datum(self._tail, tail)

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
