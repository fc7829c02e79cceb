"""An applied decision is a plain tuple, cheap to make for every request."""

from __future__ import annotations

from producers.loggers.applied_decision import AppliedDecision


def test_the_fields_have_the_order_that_callers_rely_on() -> None:
    applied = AppliedDecision("EXPLORE", 3, 5_000, None, 0.0125, "r1")
    assert tuple(applied) == ("EXPLORE", 3, 5_000, None, 0.0125, "r1")
    assert applied._fields == ("slice", "arm", "event_time", "exploration", "exploration_rate", "unit")
