"""Damaged bytes in a spool: logged when they are found, and kept for inspection when their file has been sent.

`damaged-<n>.spool` holds the bytes unchanged, one damaged stretch after the other. No program reads it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import structlog

from producers.delivery.log_safely import log_safely
from producers.delivery.spool_entries import Stretch, known_in, read_stretches
from producers.delivery.spool_files import append_durably, next_file

log = structlog.get_logger(__name__)


def survey(path: Path) -> Counter[str]:
    """Counts the whole events of a file by record, and logs how many bytes are damaged. Raises OSError."""
    events: Counter[str] = Counter()
    damaged = 0
    for stretch in read_stretches(path):
        if stretch.event is None:
            damaged += stretch.end - stretch.start
        else:
            events[stretch.event.record] += 1
    if damaged:
        log_safely(log.warning, "spool is damaged; its undamaged events are sent", path=str(path), bytes=damaged)
    return events


class DamagedBytes:
    """Keeps damaged bytes in a file of `directory`. Each owner starts a new file when it first finds damage."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: Path | None = None
        self._count: Counter[str] = Counter()

    def keep(self, source: Path, stretches: Sequence[Stretch]) -> None:
        """Copies the stretches out of `source`, and counts the events known to have been in them.

        If the disk is full they are only counted. Raises OSError when `source` cannot be read.
        """
        if not stretches:
            return
        parts = []
        with source.open("rb") as damaged:
            for stretch in stretches:
                damaged.seek(stretch.start)
                parts.append(damaged.read(stretch.end - stretch.start))
        lost = sum(map(known_in, parts), Counter())
        self._count += lost
        kept = self._append(b"".join(parts))
        log_safely(log.error, "spool was damaged", path=str(source), kept_in=kept, events=lost.total())

    def take_count(self) -> Counter[str]:
        """The events counted since the last call, by record."""
        count, self._count = self._count, Counter()
        return count

    def _append(self, content: bytes) -> str | None:
        try:
            self._file = self._file or next_file(self._directory, "damaged")
            append_durably(self._file, content)
        except OSError as refused:
            log_safely(log.error, "damaged bytes cannot be kept", path=str(self._directory), fault=str(refused))
            return None
        return str(self._file)
