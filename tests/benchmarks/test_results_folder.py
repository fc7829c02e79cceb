"""Figures are added, never overwritten."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.results_folder import append_result


def test_each_run_adds_a_line_with_its_instant(tmp_path: Path) -> None:
    for rate in (1, 2):
        append_result(tmp_path / "new", "join", {"events_per_s": rate}, datetime(2026, 1, 2, tzinfo=UTC))
    lines = [json.loads(line) for line in (tmp_path / "new" / "join.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["events_per_s"] for line in lines] == [1, 2]
    assert lines[0]["measured_at"] == "2026-01-02T00:00:00+00:00"
    assert lines[0]["load_average"] >= 0
