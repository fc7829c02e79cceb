"""Decisions that closed with all that an example needs, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stream_processors.partition.decision_table import PART_BITS, DecisionTable


@dataclass(frozen=True, slots=True)
class CompleteDecisions:
    """Columns with one entry for each decision, in the order in which they closed.

    `bodies` are the Examples up to the outcome. `totals` are sums of engagement values by objective. `joined` is the
    number of events that are parts or count for an objective. `outside` are the numbers of engagements that count for
    none, by reason, in the order of `OutsideReason`.
    """

    keys: list[bytes]
    request_offsets: list[int]
    request_times: list[int]
    bodies: list[bytes]
    totals: list[tuple[float, ...]]
    joined: int
    outside: tuple[int, ...]


def read_complete(table: DecisionTable, rows: Sequence[int]) -> CompleteDecisions:
    """What these complete rows hold."""
    outside = tuple([sum([numbers[row] for row in rows]) for numbers in table.outside])
    tallied = sum([table.tallied[row] for row in rows])
    parts = sum([(table.have[row] & PART_BITS).bit_count() for row in rows])
    return CompleteDecisions(
        keys=[table.keys[row] for row in rows],
        request_offsets=[table.request_offsets[row] for row in rows],
        request_times=[table.request_times[row] for row in rows],
        bodies=table.parts.bodies(rows),
        totals=[table.totals[row] for row in rows],
        joined=parts + tallied - sum(outside),
        outside=outside,
    )
