"""Timers with few buckets and with many."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stream_processors.partition.timer_buckets import BUCKETS_PER_WINDOW
from tests.stream_processors.join_runs import buckets_per_window


@pytest.fixture(params=[BUCKETS_PER_WINDOW, 4, 1])
def few_or_many_buckets(request: pytest.FixtureRequest) -> Iterator[None]:
    """With few buckets what comes due soon comes due in one that is open already."""
    with buckets_per_window(request.param):
        yield
