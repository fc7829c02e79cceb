"""How commands print rows for people, so that 80 columns are enough.

Ids (versions, hashes, key ids, proposals) are copied, so they are never cut, wrapped or shortened, whatever the
terminal's width. A `Listing` shows ids and other short values in columns without borders, and text that may be long on
the lines below. `figures` is a table of numbers.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

GAP = "  "
INDENT = "    "
WIDEST = 64
"""The length of a hash. A longer cell does not widen its column; it only shifts the rest of its row."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: a cell for each column, and sentences that stand below."""

    cells: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """Rows under a title; prints whole lines, longer than the terminal where a cell is."""

    title: str
    columns: tuple[str, ...]
    entries: Sequence[Entry]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The lines, as rich asks for them."""
        if not self.entries:
            yield _line(f"{printable(self.title)}: none", "bold")
            return
        yield _line(printable(self.title), "bold")
        rows = [self.columns, *(entry.cells for entry in self.entries)]
        widths = [_width(column) for column in zip(*rows, strict=True)]
        yield _line(_row(self.columns, widths), "dim")
        for entry in self.entries:
            yield _line(_row(entry.cells, widths))
            for note in entry.notes:
                yield from (_line(line) for line in wrapped(note, options.max_width, INDENT))


def show(*parts: Listing | Table | str) -> None:
    """Print on stdout without cutting long lines: text as it is, tables after an empty line."""
    console = Console(highlight=False)
    for number, part in enumerate(parts):
        if isinstance(part, str):
            console.print(Text(_visible(part)), no_wrap=True, overflow="ignore", crop=False)
            continue
        if number:
            console.print()
        console.print(part, crop=False)


def show_text(text: str, indent: str = "") -> None:
    """Print a sentence, wrapped between words and indented."""
    show(*wrapped(text, Console().width, indent))


def labelled(label: str, text: str, width: int) -> list[str]:
    """The lines of a sentence beside a label of this width, wrapped between words."""
    found = wrapped(text, max(Console().width - width, width)) or [""]
    return [f"{label if number == 0 else '':<{width}}{line}".rstrip() for number, line in enumerate(found)]


def streamed_lines(entry: Entry, width: int | None) -> list[str]:
    """The lines of one row of a list that is printed while it is read; `width` is None if no terminal shows it.

    Without a width, the row is one line of tab-separated fields, for `cut` and `sort`.
    """
    if width is None:
        return ["\t".join((*entry.cells, *entry.notes))]
    return [
        GAP.join(map(printable, entry.cells)),
        *(line for note in entry.notes for line in wrapped(note, width, INDENT)),
    ]


def terminal_width() -> int | None:
    """Columns of the terminal on stdout; None if stdout is not a terminal."""
    return Console().width if sys.stdout.isatty() else None


def figures(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table of numbers: the first column is their name, the others are aligned to the right."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for position, heading in enumerate(headings):
        table.add_column(heading, justify="right" if position else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_visible(cell)) for cell in row))
    return table


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """The lines of a sentence; a word that is longer than a line stays whole."""
    return textwrap.wrap(
        printable(text),
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def printable(text: str) -> str:
    """The text on one line without control characters; names and reasons in a store are not trusted."""
    return _visible(" ".join(text.split()))


def _visible(text: str) -> str:
    return "".join(each if each.isprintable() else "\ufffd" for each in text)


def _width(cells: Iterable[str]) -> int:
    return max(length if (length := cell_len(printable(cell))) <= WIDEST else 0 for cell in cells)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    shown = [printable(cell) for cell in cells]
    return GAP.join(cell + " " * (width - cell_len(cell)) for cell, width in zip(shown, widths, strict=True)).rstrip()


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ignore")
