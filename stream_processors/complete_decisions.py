"""Decisions that closed with all that an example needs, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from event_schemas import records as r
from event_schemas.codec import HEADER
from stream_processors.decision_table import PARTS, DecisionTable


@dataclass(frozen=True, slots=True)
class CompleteDecisions:
    """Columns of one entry a decision, in the order they closed.

    `parts` are the datums of `PARTS` in the newest schemas, a column each; only a Ranking may be None. `totals` are
    sums of engagement values by objective. Of all events `joined` are parts or count for an objective, and `outside`
    count for none.
    """

    keys: list[bytes]
    request_offsets: list[int]
    request_times: list[int]
    parts: Sequence[list[bytes | None]]
    totals: list[tuple[float, ...]]
    joined: int
    outside: int


def read_complete(table: DecisionTable, rows: Sequence[int]) -> CompleteDecisions:
    """What these rows hold, all of them complete."""
    parts = [_datums(table, name, rows) for name in PARTS]
    requests, outside = table.parts[r.REQUEST], sum([table.outside[row] for row in rows])
    events = sum(len(datums) - datums.count(None) for datums in parts) + sum([len(table.seen[row]) for row in rows])
    return CompleteDecisions(
        keys=[table.keys[row] for row in rows],
        request_offsets=[requests.offsets[row] for row in rows],
        request_times=[requests.times[row] for row in rows],
        parts=parts,
        totals=[table.totals[row] for row in rows],
        joined=events - outside,
        outside=outside,
    )


def _datums(table: DecisionTable, name: str, rows: Sequence[int]) -> list[bytes | None]:
    values, start = table.parts[name].values, HEADER.size
    datums = [None if (value := values[row]) is None else value[start:] for row in rows]
    if table.resolved:
        datums = [table.resolved.get((row, name), datum) for row, datum in zip(rows, datums, strict=True)]
    return datums
