"""Complete decisions are read out of the table in the order asked for."""

from __future__ import annotations

from collections import defaultdict

from event_schemas import records as r
from stream_processors.partition.complete_decisions import read_complete
from stream_processors.partition.decision_table import DecisionTable

FRAMING = b"\0\0\0\0\1"
LIFTS: defaultdict[bytes, bytes] = defaultdict(bytes)
"""Every version is the newest one."""


def test_columns_follow_the_rows() -> None:
    table = DecisionTable(1, 0, LIFTS)
    rows = [table.begin(key, offset, 50, None) for offset, key in ((1, b"a"), (2, b"b"))]
    for row in rows:
        for name in (r.REQUEST, r.ACTION, r.PROPENSITY):
            newest = b"newest" if name == r.ACTION and row == rows[0] else None
            part = (FRAMING + name.encode() + table.keys[row], 10 + row, 20 + row)
            table.hold_part(row, name, part, newest)
    table.hold_part(rows[1], r.RANKING, (FRAMING + b"ranking", 30, 40))
    table.tallied[rows[0]], table.totals[rows[0]], table.outside[1][rows[0]] = 2, (3.0,), 1
    table.mark_complete(rows)

    found = read_complete(table, rows[::-1])

    assert found.keys == [b"b", b"a"]
    assert (found.request_offsets, found.request_times) == ([11, 10], [21, 20])
    assert found.bodies == [b"RequestbActionbPropensityb\2ranking", b"RequestanewestPropensitya\0"]
    assert found.totals == [(0.0,), (3.0,)]
    assert (found.joined, found.outside) == (8, (0, 1, 0))
