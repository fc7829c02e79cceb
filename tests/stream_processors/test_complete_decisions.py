"""Complete decisions are read out of the table in the order asked for."""

from __future__ import annotations

from event_schemas import records as r
from stream_processors.complete_decisions import read_complete
from stream_processors.decision_table import DecisionTable

FRAMING = b"\0\0\0\0\1"


def test_columns_follow_the_rows() -> None:
    table = DecisionTable(1, partition=0)
    rows = [table.begin(key, offset, 50, None) for offset, key in ((1, b"a"), (2, b"b"))]
    for row in rows:
        for name in (r.REQUEST, r.ACTION, r.PROPENSITY):
            table.parts[name].values[row] = FRAMING + name.encode() + table.keys[row]
        table.parts[r.REQUEST].offsets[row], table.parts[r.REQUEST].times[row] = 10 + row, 20 + row
    table.parts[r.RANKING].values[rows[1]] = FRAMING + b"ranking"
    table.tallied[rows[0]], table.totals[rows[0]], table.outside[rows[0]] = 2, (3.0,), 1
    table.resolved[rows[0], r.ACTION] = b"newest"
    table.complete(rows)

    found = read_complete(table, rows[::-1])

    assert found.keys == [b"b", b"a"]
    assert (found.request_offsets, found.request_times) == ([11, 10], [21, 20])
    assert found.datums == [b"RequestbActionbPropensityb", b"RequestanewestPropensitya"]
    assert found.rankings == [b"ranking", None]
    assert found.totals == [(0.0,), (3.0,)]
    assert (found.joined, found.outside) == (8, 1)
