"""From the close of a window to its example in a reader's hands."""

from __future__ import annotations

import pytest

from benchmarks.join_latency import WatermarkTrace

pytestmark = pytest.mark.join_benchmarks


def trace() -> WatermarkTrace:
    found = WatermarkTrace()
    for event_ms, instant in ((100, 1.0), (90, 2.0), (120, 3.0), (120, 4.0)):
        found.sent(event_ms, instant)
    return found


def test_a_window_closes_with_the_first_event_that_reaches_its_end() -> None:
    assert trace().closed_at(100) == 1.0
    assert trace().closed_at(101) == 3.0


def test_a_window_that_no_event_reached_is_open() -> None:
    assert trace().closed_at(121) is None
