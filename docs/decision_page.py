"""The index of decision records: each with its date and status, from the records themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

RECORDS = Path(__file__).parent / "decisions"
HEAD = re.compile(r"# (?P<number>\d+)\. (?P<title>.+)\n\n(?P<date>\d{4}-\d\d-\d\d) · (?P<status>[^\n]+)\n")


def decisions() -> Iterator[str]:
    """The lines of the page. Raises ValueError for a record that does not begin with title, date and status."""
    yield "A decision with a real alternative gets half a page: context, alternatives, decision, consequences.\n"
    yield "| | decision | date | status |\n|---|---|---|---|"
    for record in sorted(RECORDS.glob("[0-9]*.md")):
        head = HEAD.match(record.read_text(encoding="utf-8"))
        if head is None:
            raise ValueError(f"{record.name} must begin with '# <number>. <title>', then '<date> · <status>'")
        yield f"| {head['number']} | [{head['title']}]({record.name}) | {head['date']} | {head['status']} |"
