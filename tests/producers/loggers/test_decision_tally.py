"""One source's counts: by day, slice and arm, and by exploration settings and day."""

from __future__ import annotations

import math

import pytest

from event_schemas.codec import Codec
from event_schemas.records import LAST_DAY
from event_schemas.registry import Registry
from event_schemas.units import DAY_MS
from learner.examples.tally_tables import table_fault
from producers.loggers.applied_decision import AppliedDecision
from producers.loggers.decision_tally import DecisionTally
from producers.loggers.recent_units import RecentUnits

CODEC = Codec(Registry.bundled())
A = AppliedDecision("EXPLORE", 3, DAY_MS + 5, "d" * 64, 0.25, "s1")


def tally_of(*decisions: AppliedDecision) -> DecisionTally:
    tally = DecisionTally(1, RecentUnits())
    for applied in decisions:
        tally.add(applied)
    return tally


def test_rows_are_by_day_slice_and_arm() -> None:
    record = tally_of(A, A, A._replace(slice="POLICY"), A._replace(event_time=DAY_MS - 1)).record("node", 7)
    assert (record["event_time"], record["source"]) == (7, "node")
    assert record["counts"] == [{"slice": "EXPLORE", "count": 3}, {"slice": "POLICY", "count": 1}]
    assert record["arms"] == [
        {"day": 0, "slice": "EXPLORE", "arm": 3, "count": 1},
        {"day": 1, "slice": "EXPLORE", "arm": 3, "count": 2},
        {"day": 1, "slice": "POLICY", "arm": 3, "count": 1},
    ]
    assert CODEC.decode(CODEC.encode("Tally", record)).record == record


def test_a_span_has_the_moments_that_the_sample_ratio_test_needs() -> None:
    """Three decisions of one session and one of another: two units, 3² + 1² squares; a killed one has the rate 0."""
    session = [A, A._replace(event_time=DAY_MS + 2), A._replace(event_time=DAY_MS + 9, exploration_rate=0.0)]
    [span] = tally_of(*session, A._replace(unit="s2")).record("node", 7)["spans"]
    assert span == {
        "exploration": "d" * 64,
        "first_event_time": DAY_MS + 2,
        "last_event_time": DAY_MS + 9,
        "decisions": 4,
        "units": 2,
        "rate_sum": 0.75,
        "square_sum": 10.0,
    }


def test_requests_are_units_of_their_own() -> None:
    [span] = tally_of(*(A._replace(unit=f"r{number}") for number in range(50))).record("node", 7)["spans"]
    assert (span["decisions"], span["units"], span["square_sum"]) == (50, 50, 50.0)


def test_settings_and_days_have_spans_of_their_own_and_unknown_settings_none() -> None:
    decisions = [A, A._replace(event_time=0), A._replace(exploration="e" * 64), A._replace(exploration=None)]
    record = tally_of(*decisions).record("node", 7)
    found = [(span["exploration"][0], span["first_event_time"], span["decisions"]) for span in record["spans"]]
    assert found == [("d", 0, 1), ("d", DAY_MS + 5, 1), ("e", DAY_MS + 5, 1)]
    assert math.fsum(row["count"] for row in record["arms"]) == 4


@pytest.mark.parametrize("absurd", [-(2**63), -1, (LAST_DAY + 1) * DAY_MS, 2**53, 2**63 - 1])
def test_a_decision_at_an_absurd_time_leaves_the_tables_to_their_readers(absurd: int) -> None:
    record = tally_of(A, A._replace(event_time=absurd, unit="s2"), A).record("node", 7)
    counts = {row["slice"]: row["count"] for row in record["counts"]}
    assert table_fault(counts, record["arms"], record["spans"]) is None
    assert [row["day"] for row in record["arms"]] == ([0, 1] if absurd < 0 else [1, LAST_DAY])
    assert sum(span["decisions"] for span in record["spans"]) == counts["EXPLORE"] == 3


def test_a_copy_stays_as_it_was() -> None:
    tally = tally_of(A)
    copied, before = tally.copy(), tally.record("node", 7)
    tally.add(A)
    assert copied.record("node", 7) == before != tally.record("node", 7)
    assert (copied.decisions, tally.decisions, tally.rows) == (1, 2, 2)
