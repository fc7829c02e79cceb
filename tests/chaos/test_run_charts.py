"""The pictures of a run."""

from __future__ import annotations

from tests.chaos.memory_slope import slopes
from tests.chaos.run_charts import lag_chart, memory_chart
from tests.chaos.verdict_samples import history


def test_the_lag_is_drawn_with_a_mark_for_each_fault() -> None:
    svg = lag_chart(history(), "a worker killed")
    assert svg.startswith("<svg")
    assert "kill worker-1" in svg
    assert "learner" in svg
    assert "a worker killed: lag over time" in svg


def test_memory_is_drawn_with_and_without_a_line() -> None:
    run = history()
    [slope, *_] = slopes(run.samples)
    with_line, without = memory_chart(run, slope, "memory"), memory_chart(run, None, "memory")
    assert "worker-2" in without
    assert with_line.count("<path") > without.count("<path")
