"""The reference pages are what the code says, and every command the guides show exists."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import typer

from trimtab.cli import build_app

ROOT = Path(__file__).parents[2]
GENERATOR: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "generate_reference.py"))
PAGES: dict[str, str] = GENERATOR["pages"]()
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_up_to_date(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == PAGES[name], "stale: run `make docs`"


@pytest.mark.parametrize("name", PAGES)
def test_every_row_has_the_cells_of_its_table(name: str) -> None:
    width = 0
    for line in PAGES[name].splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) - 1 if line.startswith("|") else 0
        assert cells in (width, 0) or width == 0, line
        width = cells


def test_defaults_are_written_as_the_file_writes_them() -> None:
    page = PAGES["reference/experiment.md"]
    for row in (
        '| `train_window` | `"2w"` |',
        "| `hidden_dims` | `[64, 64, 32]` |",
        "| `required` | `false` |",
        "| `production_share` | unset |",
    ):
        assert row in page
    assert 'One of `"live"`, `"replay"`.' in page


def known_commands(command: Any, path: str = "trimtab") -> set[str]:
    children = getattr(command, "commands", {})
    return {path}.union(*(known_commands(child, f"{path} {name}") for name, child in children.items()))


def test_every_command_has_its_section_and_its_options() -> None:
    page = PAGES["reference/commands.md"]
    for heading in ("## `trimtab join`", "## `trimtab dead-letters replay`", "## `trimtab policy list`"):
        assert heading in page
    assert "| `--dry-run` |" in page


@pytest.mark.parametrize("guide", GUIDES, ids=lambda p: p.name)
def test_every_command_shown_exists(guide: Path) -> None:
    known = known_commands(typer.main.get_command(build_app()))
    shown = re.findall(r"(?:^|`|\$ )(trimtab(?: [a-z][a-z-]+){1,2})", guide.read_text(), flags=re.MULTILINE)
    for line in shown:
        words = line.split()
        assert any(" ".join(words[:n]) in known for n in range(2, len(words) + 1)), f"{guide.name} shows `{line}`"


@pytest.mark.parametrize("guide", GUIDES, ids=lambda p: p.name)
def test_every_setting_and_metric_shown_exists(guide: Path) -> None:
    text = guide.read_text()
    for variable in set(re.findall(r"TRIMTAB_[A-Z_]*[A-Z](?![A-Z_]*[<&*])", text)):
        assert f"`{variable}`" in PAGES["reference/settings.md"], f"{guide.name} shows {variable}"
    for metric in set(re.findall(r"`(trimtab_[a-z_]+[a-z])", text)):
        assert f"`{metric}`" in PAGES["reference/metrics.md"], f"{guide.name} shows {metric}"
