"""Points in time: the clock counts milliseconds, and any time can be shown."""

from __future__ import annotations

import time

import pytest

from event_schemas.instant import utc_text, wall_clock_ms


def test_the_clock_counts_milliseconds_since_the_epoch() -> None:
    before = time.time()
    assert before * 1000 - 1 <= wall_clock_ms() <= time.time() * 1000


@pytest.mark.parametrize(("epoch_ms", "shown"), [(1_700_000_000_999, "2023-11-14 22:13:20Z"), (2**53, f"{2**53} ms")])
def test_times_are_shown_whatever_they_are(epoch_ms: int, shown: str) -> None:
    assert utc_text(epoch_ms) == shown
