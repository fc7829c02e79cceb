"""The glossary is short and sorted, the names it gives are the code's, and words that it gave up are gone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from trimtab.import_names import PACKAGES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
TERMS = re.findall(r"^- \*\*(.+?)\*\*: ", PAGE, flags=re.MULTILINE)
ENTRIES = [" ".join(entry.split()) for entry in re.split(r"^- ", PAGE.split("\n\nWords", 1)[0], flags=re.MULTILINE)[1:]]
SOURCES = [
    file.read_text(encoding="utf-8") for name in (*PACKAGES, "trimtab") for file in sorted((ROOT / name).rglob("*.py"))
]


def names_defined(source: str) -> Iterator[str]:
    """Classes, functions, arguments and what is assigned, fields of records and sections among it."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield name
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                yield name


def test_at_most_forty_five_terms_in_alphabetical_order() -> None:
    assert len(TERMS) == len(ENTRIES) <= 45
    assert [term.lower() for term in TERMS] == sorted(term.lower() for term in TERMS)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.split("**")[1])
def test_an_entry_is_one_or_two_sentences(entry: str) -> None:
    assert 1 <= len(re.findall(r"[.](?: |$)", entry)) <= 2


def test_every_name_given_is_defined_in_the_code() -> None:
    given = set(re.findall(r"`([^`]+)`", PAGE))
    defined = {name for source in SOURCES for name in names_defined(source)}
    assert given - defined == set()


def test_words_that_were_given_up_are_gone() -> None:
    given_up = re.compile(r"\b(agenda|mend|mends|judged[ _]records)\b", flags=re.IGNORECASE)
    assert [found for source in SOURCES for found in given_up.findall(source)] == []
