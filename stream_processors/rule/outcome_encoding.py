"""Outcomes as Avro bytes: what a decision brought, objective by objective.

Most decisions have the same sums as many others (no engagement; one click), so the bytes of the objectives are cached
by sums and only the rest is encoded for each decision.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

from fastavro import parse_schema, schemaless_writer

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.errors import SchemaError
from event_schemas.registry import without_logical_types
from stream_processors.rule.avro_numbers import spelled
from stream_processors.rule.join_rule import JoinRule

SUMS_KEPT = 4096
"""Different sums whose bytes are cached."""
OBJECTIVES = "objectives"
TAIL = (("closed_early", "boolean"), ("window_closed_at", "long"), ("partition", "int"), ("offset", "long"))


class ClosedDecisions(Protocol):
    """Columns with one entry for each decision."""

    @property
    def totals(self) -> Sequence[tuple[float, ...]]:
        """Sums of engagement values, by objective."""
        ...

    @property
    def request_times(self) -> Sequence[int]:
        """When the Request happened (ms)."""
        ...

    @property
    def request_offsets(self) -> Sequence[int]:
        """The Request's offset in the log."""
        ...


class OutcomeEncoder:
    """Encodes Outcomes in the newest schema; raises SchemaError when that has other fields."""

    def __init__(self, rule: JoinRule, codec: Codec, partition: int) -> None:
        fields = without_logical_types(codec.registry.newest(r.EXAMPLE).schema["fields"][-1]["type"])["fields"]
        found = tuple((field["name"], _plain(field["type"])) for field in fields[1:])
        if fields[0]["name"] != OBJECTIVES or found != TAIL:
            raise SchemaError(
                f"Outcome has the fields {[field['name'] for field in fields]}",
                fix=f"keep {OBJECTIVES} first in Outcome, then {', '.join(name for name, _ in TAIL)}",
            )
        self._objectives = rule.objectives
        self._window = rule.window_ms
        self._attributions = [objective.attribution_ms for objective in rule.objectives]
        self._all_observed = (True,) * len(rule.objectives)
        self._partition_spelled = spelled(partition)
        self._head = parse_schema({"type": "record", "name": "OutcomeHead", "fields": fields[:1]})
        self._head_of = lru_cache(SUMS_KEPT)(self._encode_head)

    def encode(self, decisions: ClosedDecisions, closed_early_at: int | None) -> list[bytes]:
        """The outcome of each decision; all of them closed at the end of their windows, or early at this time (ms).

        An objective whose attribution had not passed by then is not observed.
        """
        early = closed_early_at is not None
        times = decisions.request_times
        ends = [time + self._window if closed_early_at is None else closed_early_at for time in times]
        if not early:
            heads = [self._head_of(totals, self._all_observed) for totals in decisions.totals]
        else:
            heads = [
                self._head_of(totals, tuple(end - time >= attribution for attribution in self._attributions))
                for totals, time, end in zip(decisions.totals, times, ends, strict=True)
            ]
        begin, partition = bytes([early]), self._partition_spelled
        columns = zip(heads, ends, decisions.request_offsets, strict=True)
        return [head + begin + spelled(end) + partition + spelled(offset) for head, end, offset in columns]

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


def _plain(kind: Any) -> Any:
    return kind["type"] if isinstance(kind, Mapping) else kind


def _datum(schema: Any, record: Mapping[str, Any]) -> bytes:
    sink = io.BytesIO()
    schemaless_writer(sink, schema, record)
    return sink.getvalue()
