"""Damaged bytes are kept unchanged and counted once, and do not stop delivery."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import structlog

from producers.delivery.spool_damage import DamagedBytes, survey
from producers.delivery.spool_entries import Stretch, encode_entry, read_stretches
from tests.producers.spool_events import events


def damaged_file(folder: Path) -> tuple[Path, bytes]:
    """A file whose second of three events is damaged, and its bytes."""
    first, second, third = map(encode_entry, events(3))
    second = second[:-1] + b"?"
    file = folder / "outgoing.spool"
    file.write_bytes(first + second + third)
    return file, second


def damaged_in(file: Path) -> list[Stretch]:
    return [stretch for stretch in read_stretches(file) if stretch.event is None]


def test_a_survey_counts_what_is_whole_and_tells_the_rest(tmp_path: Path) -> None:
    file, damaged = damaged_file(tmp_path)
    with structlog.testing.capture_logs() as lines:
        assert survey(file) == Counter(Request=2)
        assert not survey(tmp_path / "none")
    assert [line["bytes"] for line in lines] == [len(damaged)]


def test_damaged_bytes_are_kept_and_counted_once(tmp_path: Path) -> None:
    file, damaged = damaged_file(tmp_path)
    (tmp_path / "damaged-00000007.spool").write_bytes(b"of an earlier owner")
    kept = DamagedBytes(tmp_path)
    kept.keep(file, [])
    assert not kept.take_count()
    for _ in range(2):
        kept.keep(file, damaged_in(file))
    assert (tmp_path / "damaged-00000008.spool").read_bytes() == damaged * 2
    assert (tmp_path / "damaged-00000007.spool").read_bytes() == b"of an earlier owner"
    assert (kept.take_count(), kept.take_count()) == (Counter(Request=2), Counter())


def test_a_disk_that_takes_nothing_stops_nobody(tmp_path: Path) -> None:
    file, _ = damaged_file(tmp_path)
    (tmp_path / "damaged-00000001.spool").mkdir()
    kept = DamagedBytes(tmp_path / "gone")
    with structlog.testing.capture_logs() as lines:
        kept.keep(file, damaged_in(file))
    assert kept.take_count() == Counter(Request=1)
    assert "cannot be kept" in str(lines[0])
