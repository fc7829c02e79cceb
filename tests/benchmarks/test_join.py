"""The comparison end to end on a real broker, with the peers that need nothing beyond the project's environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.bench_broker import BenchBroker
from benchmarks.comparison import compare, medians
from benchmarks.join import Plan, measure, table
from benchmarks.peer_chart import bar_rows, peer_chart
from benchmarks.peer_table import chosen_peers
from benchmarks.results_folder import append_result, write_plot
from tests.components.kafka_broker import KafkaBroker

pytestmark = pytest.mark.join_benchmarks

KEYS = {
    "events_per_s",
    "cpu_s_per_million",
    "peak_rss_mb",
    "ratio_to_raw_consume",
    "ratio_to_decode_only",
    "ratio_to_python_join",
    "correct",
}


def test_ours_and_three_peers_over_the_same_events(kafka: KafkaBroker, tmp_path: Path) -> None:
    plan = Plan(chosen_peers("raw_consume,decode_only,python_join", False), 500, repeat=2)
    measurements = measure(plan, BenchBroker(kafka.bootstrap, kafka.pid, tmp_path))
    assert [m.peer for m in measurements[:4]] == [m.peer for m in reversed(measurements[4:])]
    result = compare(medians(measurements))
    assert result.keys() >= KEYS
    assert result["correct"] is True, measurements
    assert result["peers"]["python_join"]["correct"] is True, measurements
    assert all(m.seconds > 0 and m.peak_rss_mb > 10 and not m.note for m in measurements), measurements
    assert result["events"] == measurements[0].events > 2_000
    append_result(tmp_path / "results", "join", result)
    assert len((tmp_path / "results" / "join.jsonl").read_text(encoding="utf-8").splitlines()) == 1
    drawn = write_plot(tmp_path / "results", "join", peer_chart(result["peers"], "title"), "title")
    assert "<svg" in drawn.read_text(encoding="utf-8")
    rates = [bar["events_per_s"] for bar in bar_rows(result["peers"])]
    assert rates == sorted(rates, reverse=True)
    assert len(rates) == 4
    assert table(result).row_count == 4


def test_a_slow_peer_gets_fewer_requests() -> None:
    (ours, faust) = chosen_peers("faust", False)
    plan = Plan((ours, faust), 100_000)
    assert (plan.requests_of(ours), plan.requests_of(faust)) == (100_000, 10_000)
