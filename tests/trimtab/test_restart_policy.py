"""Restarts: with growing pauses, never in step, and not forever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.restart_policy import RestartHistory, RestartPolicy

POLICY = RestartPolicy(first_seconds=1, longest_seconds=10, steady_seconds=60, most=6, window_seconds=600)


def test_the_pause_doubles_up_to_the_longest() -> None:
    history = RestartHistory(POLICY, lambda: 1.0)
    assert [history.pause(0.1, now) for now in range(6)] == [1, 2, 4, 8, 10, 10]


def test_too_many_failures_in_the_window_are_given_up_and_old_ones_forgotten() -> None:
    history = RestartHistory(POLICY, lambda: 0.0)
    assert [history.pause(100, now) for now in range(7)] == [0.5] * 6 + [None]
    assert history.pause(100, 606.5) == 0.5


def test_a_steady_run_begins_anew() -> None:
    history = RestartHistory(POLICY, lambda: 1.0)
    assert [history.pause(ran, 0) for ran in (1, 1, 60, 59)] == [1, 2, 1, 2]


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 6))
def test_the_jitter_keeps_between_a_half_and_the_whole(draw: float, failures: int) -> None:
    history, whole = RestartHistory(POLICY, lambda: draw), RestartHistory(POLICY, lambda: 1.0)
    for _ in range(failures):
        pause, longest = history.pause(0, 0), whole.pause(0, 0)
    assert pause is not None and longest is not None
    assert longest / 2 <= pause <= longest


def test_the_default_waits_out_a_restart_of_the_broker() -> None:
    history = RestartHistory(RestartPolicy(), lambda: 0.0)
    pauses = [history.pause(15.0, 0.0) for _ in range(10)]
    assert None not in pauses
    assert sum(pause or 0 for pause in pauses) == pytest.approx(0.5 * (1 + 2 + 4 + 8 + 16 + 30 * 5))
