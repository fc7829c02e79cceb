"""Every file of the repository that a page, a comment, a docstring or a message names is there."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
FOLDERS = [*BUILD["targets"]["wheel"]["packages"]]
FOLDERS += ["benchmarks", "datasets", "deploy", "docs", "requirements", "tests", "tools"]


def files(*kinds: str) -> list[Path]:
    """The files of these kinds, at the top and in the folders of the repository."""
    places = [*(ROOT.glob(kind) for kind in kinds), *((ROOT / each).rglob(kind) for each in FOLDERS for kind in kinds)]
    return sorted(file for place in places for file in place if file != Path(__file__))


PAGES = files("*.md")
DOCUMENTS = {page.name for page in PAGES} | {"chaos.md", "soak.md"}
"""The pages, and what `make chaos` and `make soak` write."""

NAMED_FILE = r"[\w.-]+\.(?:avsc|csv|json|lock|md|parquet|py|sh|toml|xml|ya?ml)\b"
PATH = re.compile(
    rf"(?<![\w/.<>{{}}*-])(?:{'|'.join(FOLDERS)})/(?:[\w.-]+/)*(?:{NAMED_FILE}|(?<=/)(?![\w.<>{{}}*\[-]))"
)
"""A path from the root of the repository: of a file with a known ending, or of a folder with its slash."""
DOCUMENT = re.compile(r"(?<![\w/.<>{}*-])[\w-]+\.md\b")
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def missing(file: Path, text: str) -> Iterator[str]:
    """What a file names and is not there: paths, documents by their name alone, and in a page the targets of links."""
    yield from (path for path in PATH.findall(text) if not (ROOT / path).exists())
    yield from (name for name in DOCUMENT.findall(text) if name not in DOCUMENTS)
    if file.suffix == ".md":
        targets = (target for target in LINK.findall(text) if "://" not in target)
        yield from (target for target in targets if not (file.parent / target).exists())


@pytest.mark.parametrize("kinds", [["*.md"], ["*.py", "*.toml", "*.yml", "*.sh", "Makefile"]], ids=["pages", "code"])
def test_every_file_that_is_named_is_there(kinds: list[str]) -> None:
    found = {
        str(file.relative_to(ROOT)): list(missing(file, file.read_text(encoding="utf-8"))) for file in files(*kinds)
    }
    lines = [f"{name}: {', '.join(gone)}" for name, gone in found.items() if gone]
    assert lines == [], "\n".join(["these name what is not there:", *lines])


def test_what_counts_as_named() -> None:
    page = "`docs/none.md`, tests/upgrades/data/ and [this](../none.md#there); not learner/main, old/tests/x.py"
    assert list(missing(ROOT / "docs" / "glossary.md", page)) == ["docs/none.md", "../none.md"]
    code = 'f"docs/{name}.md" tests/*.py  # as wishes.md says'
    assert list(missing(ROOT / "learner" / "x.py", code)) == ["wishes.md"]
