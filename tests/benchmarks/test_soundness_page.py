"""The section of the study of the log's check: a row for each world, and what misses a bar."""

from pathlib import Path
from typing import Any

from benchmarks.soundness import FAULTS
from benchmarks.soundness_page import FAULTS as DESCRIBED
from benchmarks.soundness_page import HEADING, write_page


def cell(name: str, fault: bool, stopped: int) -> dict[str, Any]:
    reasons = {"counts": stopped} if stopped else {}
    numbers = {"rows": 10_000, "logs": 400, "stopped": stopped, "interval": [0.5, 0.75], "unverified": 0}
    return {"name": name, "fault": fault, "reasons": reasons, **numbers}


def test_each_world_has_a_row_and_a_missed_bar_is_named(tmp_path: Path) -> None:
    page = tmp_path / "page"
    cells = [cell("doubled", True, 300), cell("by request", False, 0)]
    run = {"date": "2026-01-02", "commit": "abc", "seed": 3, "figures": cells, "missed": ["doubled: only 300"]}
    write_page(page, run)
    lines = page.read_text().splitlines()
    assert HEADING in lines and "- doubled: only 300" in lines
    counted = "10,000 | 400 | 300 | 0.7500 | 0.5000–0.7500 | `counts` 300 |"
    assert f"| 20 % of the rows doubled under other ids | {counted}" in lines
    assert "| by request | 10,000 | 400 | 0 | 0.0000 | 0.5000–0.7500 | – |" in lines
    write_page(page, run | {"missed": []})
    assert "Every bar is met." in page.read_text()


def test_every_fault_is_described() -> None:
    assert set(DESCRIBED) == set(FAULTS)
