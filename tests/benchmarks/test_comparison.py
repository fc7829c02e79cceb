"""Medians and ratios."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.comparison import compare, medians
from benchmarks.peer_run import Measurement

OURS = Measurement("trimtab", 2, 10, 45, 1.0, 45.0, 2.0, 100.0, True, 10, 0, 0.1, 0.5)
THEIRS = replace(OURS, peer="python_join", events_per_s=30.0)


def test_a_row_holds_the_medians_of_its_runs() -> None:
    runs = [replace(OURS, events_per_s=rate) for rate in (10.0, 50.0, 40.0)]
    row = medians(runs)["trimtab"]
    assert (row["events_per_s"], row["runs"]) == (40.0, 3)


def test_one_wrong_run_makes_the_peer_wrong() -> None:
    assert medians([OURS, replace(OURS, correct=False)])["trimtab"]["correct"] is False


def test_a_peer_without_output_is_neither_right_nor_wrong() -> None:
    assert medians([replace(OURS, correct=None)])["trimtab"]["correct"] is None


def test_the_ratio_is_ours_over_theirs() -> None:
    assert compare(medians([OURS, THEIRS]))["ratio_to_python_join"] == pytest.approx(1.5)


def test_there_is_no_ratio_to_a_wrong_result() -> None:
    assert compare(medians([OURS, replace(THEIRS, correct=False)]))["ratio_to_python_join"] is None


@pytest.mark.parametrize(("all_cores_right", "ratio"), [(True, 0.5), (False, None)])
def test_of_a_system_the_fastest_row_counts_if_all_are_right(all_cores_right: bool, ratio: float | None) -> None:
    all_cores = replace(THEIRS, peer="kafka_streams", events_per_s=90.0, correct=all_cores_right)
    one_thread = replace(THEIRS, peer="kafka_streams_one_thread", events_per_s=60.0)
    result = compare(medians([OURS, all_cores, one_thread]))
    assert result["ratio_to_kafka_streams"] == ratio
    assert result["ratio_to_kafka_streams_one_thread"] == pytest.approx(0.75)


def test_our_figures_stand_on_top() -> None:
    result = compare(medians([THEIRS, OURS]))
    assert (result["events_per_s"], result["cpu_s_per_million"], result["peak_rss_mb"]) == (45.0, 2.0, 100.0)
    assert result["correct"] is True
