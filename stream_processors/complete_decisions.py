"""Decisions that closed with all that an example needs, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from event_schemas import records as r
from stream_processors.decision_table import FRAMING, NEEDED, DecisionTable


@dataclass(frozen=True, slots=True)
class CompleteDecisions:
    """Columns of one entry a decision, in the order they closed.

    `datums` are those of request, action and propensity in the newest schemas, one behind the other; `rankings` may be
    missing. `totals` are sums of engagement values by objective. Of all events `joined` are parts or count for an
    objective, and `outside` count for none.
    """

    keys: list[bytes]
    request_offsets: list[int]
    request_times: list[int]
    datums: list[bytes | None]
    rankings: list[bytes | None]
    totals: list[tuple[float, ...]]
    joined: int
    outside: int


def read_complete(table: DecisionTable, rows: Sequence[int]) -> CompleteDecisions:
    """What these rows hold, all of them complete."""
    requests, rankings = table.parts[r.REQUEST], _rankings(table, rows)
    outside, tallied = sum([table.outside[row] for row in rows]), sum([table.tallied[row] for row in rows])
    parts = (len(NEEDED) + 1) * len(rows) - rankings.count(None)
    return CompleteDecisions(
        keys=[table.keys[row] for row in rows],
        request_offsets=[requests.offsets[row] for row in rows],
        request_times=[requests.times[row] for row in rows],
        datums=[table.datums[row] for row in rows],
        rankings=rankings,
        totals=[table.totals[row] for row in rows],
        joined=parts + tallied - outside,
        outside=outside,
    )


def _rankings(table: DecisionTable, rows: Sequence[int]) -> list[bytes | None]:
    values = table.parts[r.RANKING].values
    datums = [None if (value := values[row]) is None else value[FRAMING:] for row in rows]
    if table.resolved:
        datums = [table.resolved.get((row, r.RANKING), datum) for row, datum in zip(rows, datums, strict=True)]
    return datums
