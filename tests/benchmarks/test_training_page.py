"""The section of the training's figures: what misses its goal says so."""

from __future__ import annotations

from pathlib import Path

from benchmarks.training_page import HEADING, write_page

RUN = {
    "date": "2026-11-30",
    "commit": "abc",
    "rows": 50_000,
    "encoding_us_per_row": 6.94,
    "training": {"1": {"rows_per_s": 7_900, "bare_rows_per_s": 10_000, "share_of_bare": 0.79}},
    "windows": [
        {"rows": 1000, "us_per_row": 9.0, "peak_mb": 90.0, "tensors_mb": 2.0, "bytes_per_row_beyond_tensors": 1024.0},
        {"rows": 2000, "us_per_row": 9.0, "peak_mb": 95.0, "tensors_mb": 4.0, "bytes_per_row_beyond_tensors": 1024.1},
    ],
    "runs": [{"rows": 1000, "seconds": 2.5, "peak_mb": 900.0}, {"rows": 2000, "seconds": 3.5, "peak_mb": 4096.5}],
}


def test_missed_goals_are_marked_and_other_sections_stay(tmp_path: Path) -> None:
    page = tmp_path / "results.md"
    page.write_text("# Measured results\n\n## Another\n\ntext\n")
    for _ in range(2):
        write_page(page, RUN)
    text = page.read_text()
    assert text.count(HEADING) == 1 and "## Another\n\ntext\n" in text
    assert "Encoding takes 6.9 µs of CPU a row of 50,000." in text
    assert "| 1 | 7,900 | 10,000 | 0.79 (missed) |" in text
    assert "| 1,000 | 9 | 90 | 2 | 1,024.0 |" in text and "| 2,000 | 9 | 95 | 4 | 1,024.1 (missed) |" in text
    assert "| 1,000 | 2.5 | 900.0 |" in text and "| 2,000 | 3.5 | 4,096.5 (missed) |" in text
