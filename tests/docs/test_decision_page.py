"""Every decision record begins with its title, date and status, numbered without a gap."""

from __future__ import annotations

import re

from docs.decision_page import RECORDS, decisions


def test_every_record_is_listed_in_order() -> None:
    rows = [line for line in decisions() if re.match(r"\| \d", line)]
    numbers = [int(line.split("|")[1]) for line in rows]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(rows) == len(list(RECORDS.glob("[0-9]*.md")))
    assert all(re.search(r"\| \d{4}-\d\d-\d\d \| (accepted|replaced by \d+) \|$", line) for line in rows)
