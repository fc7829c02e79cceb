"""The spool files of one directory that this process owns.

`incoming.spool` is appended to, `outgoing.spool` is being resent, and `adopted-<n>.spool` were left by other owners and
wait for their turn. Events leave `outgoing.spool` only when acknowledged, so a process that dies while resending sends
some of them twice and none never.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import structlog

from event_schemas.directory_sync import sync_directory
from producers.careful_log import tell
from producers.directory_lock import DirectoryLock
from producers.outgoing_event import OutgoingEvent
from producers.spool_entries import cut_torn_tail, encode_entry, read_entries

MEBIBYTE = 1_048_576
LOCK = "lock"
INCOMING, OUTGOING, ADOPTED = "incoming.spool", "outgoing.spool", "adopted-*.spool"
log = structlog.get_logger(__name__)


def spool_files(directory: Path) -> list[Path]:
    """The spool files of a directory, in the order in which they are to be sent; some may not exist."""
    return [directory / OUTGOING, *sorted(directory.glob(ADOPTED)), directory / INCOMING]


def size_of(file: Path) -> int:
    """Its bytes, none when there is no such file."""
    return file.stat().st_size if file.exists() else 0


class SpoolDirectory:
    """Not thread-safe. `waiting` counts events that nobody has acknowledged, `size` bytes of all files.

    Raises DirectoryTaken, and OSError where the directory cannot be written.
    """

    def __init__(self, directory: Path, max_bytes: int, wait_s: float = 0.0) -> None:
        self.directory = directory
        self._incoming = directory / INCOMING
        self._outgoing = directory / OUTGOING
        self._max_bytes = max_bytes
        self._lock = DirectoryLock(directory / LOCK, wait_s)
        self._checked_out = 0
        self._read_at = 0
        try:
            self.waiting = sum(cut_torn_tail(file).total() for file in spool_files(directory))
            self.size = sum(map(size_of, spool_files(directory)))
            self._writer = os.open(self._incoming, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError:
            self._lock.release()
            raise

    def append(self, event: OutgoingEvent) -> bool:
        """Writes the event to disk; False at the bound and when the disk refuses."""
        entry = encode_entry(event)
        return self.size + len(entry) <= self._max_bytes and self._write(entry)

    def checkout(self, limit: int) -> list[OutgoingEvent]:
        """The oldest events, at most `limit`; they stay on disk until `finish`. Raises OSError."""
        if not self._outgoing.exists() or self._outgoing.stat().st_size == 0:
            self._next_file()
        batch: list[OutgoingEvent] = []
        self._checked_out = self._read_at
        for event, end in read_entries(self._outgoing, self._read_at):
            batch.append(event)
            self._checked_out = end
            if len(batch) == limit:
                break
        if not batch and self._outgoing.stat().st_size > 0:
            self._give_up_outgoing()
        return batch

    def postpone(self, events: Sequence[OutgoingEvent]) -> list[OutgoingEvent]:
        """Writes events of the last `checkout` again, last in line, past the bound; those that the disk refuses."""
        return [event for event in events if not self._write(encode_entry(event))]

    def finish(self, settled: int, undelivered: Sequence[OutgoingEvent]) -> None:
        """Ends the last `checkout`: `settled` events leave, `undelivered` stay first in line.

        Raises OSError, and then nothing has changed.
        """
        if not settled:
            return  # they are first in line as they were
        size = self._outgoing.stat().st_size
        if undelivered:
            self._rewrite(undelivered)
        elif self._checked_out < size:
            self._read_at = self._checked_out
        else:
            self._outgoing.unlink()
            self._read_at = 0
            self.size -= size
        self.waiting -= settled

    def take_over(self, file: Path, events: int) -> bool:
        """Moves the spool file of another owner here, in one step; False when it does not fit now.

        What would never fit is taken when nothing else waits. Raises OSError.
        """
        size = file.stat().st_size
        if self.waiting and self.size + size > self._max_bytes:
            return False
        numbers = [int(path.stem.removeprefix("adopted-")) for path in self.directory.glob(ADOPTED)]
        file.rename(self.directory / f"adopted-{max(numbers, default=0) + 1:08d}.spool")
        for directory in (self.directory, file.parent):
            sync_directory(directory)
        self.size += size
        self.waiting += events
        return True

    def close(self) -> None:
        """Closes the files and frees the directory."""
        os.close(self._writer)
        self._lock.release()

    def remove(self) -> None:
        """Closes the files and removes them with the directory: nothing waits in it."""
        os.close(self._writer)
        remove_directory(self.directory, self._lock)

    def leave_to_parent(self) -> None:
        """In a forked child: closes the copies of the parent's files."""
        os.close(self._writer)
        self._lock.release()

    def _write(self, entry: bytes) -> bool:
        try:
            written = os.write(self._writer, entry)
            if written != len(entry):
                os.ftruncate(self._writer, os.fstat(self._writer).st_size - written)
                return False
        except OSError as refused:
            tell(log.error, "spool cannot be written", path=str(self._incoming), fault=str(refused))
            return False
        self.size += len(entry)
        self.waiting += 1
        return True

    def _give_up_outgoing(self) -> None:
        """Nothing can be read any more after a damaged entry; left in place it would keep all later events waiting."""
        size, before = self._outgoing.stat().st_size, self.waiting
        self._outgoing.unlink()
        self._read_at = 0
        self.size -= size
        self.waiting = sum(1 for file in spool_files(self.directory) for _ in read_entries(file))
        tell(log.error, "spool was damaged", path=str(self._outgoing), events_lost=before - self.waiting)

    def _next_file(self) -> None:
        """Makes the oldest adopted file the outgoing one, else the incoming one."""
        adopted = sorted(self.directory.glob(ADOPTED))
        if adopted:
            adopted[0].rename(self._outgoing)
        else:
            self._rotate()
        self._read_at = 0

    def _rotate(self) -> None:
        """Turns the incoming file into the outgoing one; a disk that refuses (OSError) leaves both as they are."""
        self._incoming.rename(self._outgoing)
        try:
            fresh = os.open(self._incoming, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError:
            self._outgoing.rename(self._incoming)
            raise
        stale, self._writer = self._writer, fresh
        os.close(stale)

    def _rewrite(self, undelivered: Sequence[OutgoingEvent]) -> None:
        """Replaces `outgoing.spool` by the undelivered events and those not yet read, in one rename."""
        before = self._outgoing.stat().st_size
        shorter = self.directory / "outgoing.spool.new"
        with self._outgoing.open("rb") as old, shorter.open("wb") as new:
            old.seek(self._checked_out)
            for event in undelivered:
                new.write(encode_entry(event))
            while block := old.read(MEBIBYTE):
                new.write(block)
            new.flush()
            os.fsync(new.fileno())
        shorter.replace(self._outgoing)
        self.size += self._outgoing.stat().st_size - before
        self._read_at = 0


def remove_directory(directory: Path, lock: DirectoryLock) -> None:
    """Removes a spool directory in which nothing waits, under its lock; one that holds more stays."""
    with contextlib.suppress(OSError):
        for file in (*spool_files(directory), directory / "outgoing.spool.new"):
            file.unlink(missing_ok=True)
    lock.remove()
    with contextlib.suppress(OSError):
        directory.rmdir()
