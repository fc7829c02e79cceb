"""The figures of the evaluation's benchmark."""

from __future__ import annotations

import pytest

from benchmarks.evaluation_memory import HERE, largest_difference, measure, per_row


def test_figures_are_per_row() -> None:
    found = {"peak_mb": 1.0, "seconds": 0.5, "values": {}}
    assert per_row(found, 1024) == {"bytes_per_row": 1024.0, "us_per_row": 488.28}


def test_two_results_are_compared_by_their_largest_relative_difference() -> None:
    ours = {"values": {"snips": 2.0, "dr": 1.0, "dm": 0.0}}
    theirs = {"values": {"snips": 2.0, "dr": 1.1, "dm": 0.0}}
    assert largest_difference(ours, theirs) == pytest.approx(0.1 / 1.1)
    assert largest_difference(ours, ours) == 0.0


def test_a_part_is_measured_with_the_code_of_a_checkout() -> None:
    found = measure(HERE, "log_check", 200, 9)
    assert set(found) == {"seconds", "peak_mb", "values"}
