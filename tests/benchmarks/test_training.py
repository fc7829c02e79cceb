"""The training's benchmark gives every figure that the page shows."""

from __future__ import annotations

from pathlib import Path

from benchmarks.training import EPOCHS, measured
from benchmarks.training_page import HEADING, write_page


def test_the_figures_fit_the_page(tmp_path: Path) -> None:
    found = measured(600, [2_500], 1, lambda part, *given: part(*given))
    assert list(found["training"]) == [str(epochs) for epochs in EPOCHS]
    assert [each["rows"] for each in found["windows"]] == [each["rows"] for each in found["runs"]] == [2_500]
    write_page(tmp_path / "page", {"date": "2026-11-30", "commit": "abc", **found})
    text = (tmp_path / "page").read_text()
    assert HEADING in text and "| 2,500 |" in text
