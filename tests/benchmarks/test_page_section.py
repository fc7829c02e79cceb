"""Only the section under its heading is replaced; a new one is appended."""

from pathlib import Path

from benchmarks.page_section import replace_section


def test_sections_of_others_stay(tmp_path: Path) -> None:
    page = tmp_path / "page"
    replace_section(page, "## B", ["## B", "", "one"])
    assert page.read_text() == "# Measured results\n\n## B\n\none\n"
    page.write_text("# Results\n\n## A\n\nfirst\n\n## B\n\none\n\n### B.1\n\nmore\n\n## B and C\n\nlast\n")
    replace_section(page, "## B", ["## B", "", "two", ""])
    once = page.read_text()
    assert once == "# Results\n\n## A\n\nfirst\n\n## B\n\ntwo\n\n## B and C\n\nlast\n"
    replace_section(page, "## B", ["## B", "", "two", ""])
    assert page.read_text() == once
