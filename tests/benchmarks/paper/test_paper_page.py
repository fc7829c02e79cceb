"""How figures are shown, and that the page of a run without any says what was not run."""

from pathlib import Path

from benchmarks.paper.paper_page import HEADING, shown, write_page


def test_a_figure_has_its_sign_and_interval() -> None:
    assert shown([1.234, -0.5, 2.0]) == "+1.23 (-0.50 to +2.00)"
    assert shown([-1.0, None, None], 1) == "-1.0"
    assert shown([None, None, None]) == "–"


def test_the_full_study_is_not_called_reduced(tmp_path: Path) -> None:
    run = {"command": "make paper-full", "date": "2024-01-01", "commit": "abc", "cpu_s": {}, "rows": [], "figures": {}}
    page = tmp_path / "page"
    page.write_text("# Measured results\n\n## Other\n\nstays\n")
    write_page(page, run | {"full": True, "not_run": [], "sizes": {"learner": "q_network"}})
    text = page.read_text()
    assert HEADING in text and "stays" in text and "reduced study" not in text
