"""The judgement over memory samples."""

from __future__ import annotations

import pytest

from benchmarks.join_memory import judge, memory_chart, open_decisions

pytestmark = pytest.mark.join_benchmarks

MIB = 1 << 20


def samples(*rss: float) -> list[dict[str, float]]:
    start = {"seconds": 0.0, "pending": 0.0, "rss_mb": 100.0}
    return [start, *({"seconds": 1.0 + i, "pending": 1000.0, "rss_mb": value} for i, value in enumerate(rss))]


def test_the_gauge_is_summed_over_partitions() -> None:
    page = (
        "# TYPE trimtab_join_pending_requests gauge\n"
        'trimtab_join_pending_requests{partition="0"} 3\ntrimtab_join_pending_requests{partition="1"} 4\n'
    )
    assert open_decisions(page) == 7


def test_the_bound_is_half_again_the_bytes_and_an_allowance() -> None:
    judged = judge(samples(300.0, 300.0), 1000, MIB / 10)
    assert judged["bound_mb"] == 350.0
    assert judged["within_bound"] is True
    assert judge(samples(300.0, 351.0), 1000, MIB / 10)["within_bound"] is False


def test_growth_counts_only_while_the_window_is_full() -> None:
    assert judge(samples(200.0, 200.0, 200.0, 220.0), 1000, 800.0)["growth_while_full"] == 0.1


def test_the_chart_holds_the_bound() -> None:
    assert '"bound": 350.0' in str(memory_chart(samples(300.0), 350.0, "t").to_json())
