"""The bars of the comparison."""

from __future__ import annotations

from typing import Any

from benchmarks.peer_chart import bar_rows, peer_chart

ROWS: dict[str, dict[str, Any]] = {
    "trimtab": {"events_per_s": 2_000.0, "cpu_s_per_million": 3.0, "correct": True},
    "raw_consume": {"events_per_s": 9_000.0, "cpu_s_per_million": 1.0, "correct": None},
    "storm": {"events_per_s": 5_000.0, "cpu_s_per_million": 2.0, "correct": False},
}


def test_the_fastest_comes_first_and_a_wrong_result_says_so() -> None:
    bars = bar_rows(ROWS)
    assert [bar["peer"] for bar in bars] == ["raw_consume", "storm", "trimtab"]
    assert "wrong result" in bars[1]["text"]
    assert bars[2]["text"] == "2,000/s · 3.0 CPU s per million"


def test_ours_stands_out() -> None:
    assert [bar["ours"] for bar in bar_rows(ROWS)] == [False, False, True]


def test_the_chart_names_its_title() -> None:
    assert peer_chart(ROWS, "a title").to_dict()["title"] == "a title"
