"""The producer's journal."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.producer_process import Journal


def test_a_journal_knows_what_was_acknowledged_and_what_is_unknown(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    assert Journal.read(file) == Journal(frozenset(), frozenset())
    file.write_text("h 0\nh 1\na 0\nh 2\nh 1\na 1\na 2", encoding="ascii")
    journal = Journal.read(file)
    assert journal.handed_in == {0, 1, 2}
    assert journal.acknowledged == {0, 1}, "the last line was cut off"
    assert journal.unknown == 1
