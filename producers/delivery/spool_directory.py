"""The spool files of one directory that this process owns.

New events are appended to `incoming.spool`, `outgoing.spool` is being resent, and `adopted-<n>.spool` files of other
owners wait for their turn. Events leave `outgoing.spool` only when acknowledged, so if a process dies while resending,
some are sent twice and none is lost. Damaged bytes move from there to `damaged-<n>.spool`, which is never sent.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import structlog

from event_schemas.directory_lock import DirectoryLock
from event_schemas.units import MEBIBYTE
from producers.delivery.log_safely import log_safely
from producers.delivery.outgoing_event import OutgoingEvent
from producers.delivery.spool_damage import DamagedBytes, survey
from producers.delivery.spool_entries import Stretch, encode_entry, read_stretches
from producers.delivery.spool_files import (
    ADOPTED,
    DRAFTS,
    FORKED,
    INCOMING,
    LOCK,
    OUTGOING,
    UNDELIVERABLE,
    append_durably,
    move,
    next_file,
    size_of,
    spool_files,
)
from producers.delivery.spool_origin import ORIGIN, SpoolOrigin, read_origin, write_origin

APART_SECONDS = 1.0
log = structlog.get_logger(__name__)


class SpoolDirectory:
    """The files of one spool. Not thread-safe. `size` counts the bytes of all files to be sent.

    Raises DirectoryTaken, and OSError when the directory cannot be written.
    """

    def __init__(self, directory: Path, max_bytes: int, wait_s: float = 0.0) -> None:
        self.directory = directory
        self._incoming = directory / INCOMING
        self._outgoing = directory / OUTGOING
        self._max_bytes = max_bytes
        self._lock = DirectoryLock(directory / LOCK, wait_s)
        self._checked_out = 0
        self._read_at = 0
        self._damaged: list[Stretch] = []
        self._kept = DamagedBytes(directory)
        try:
            self._close_incoming()
            self._events = {file: survey(file).total() for file in spool_files(directory)}
            self._measure()
            self._writer = os.open(self._incoming, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError:
            self._lock.release()
            raise

    @property
    def waiting(self) -> int:
        """Events that the broker has not acknowledged."""
        return sum(self._events.values())

    def append(self, event: OutgoingEvent) -> bool:
        """Writes the event to disk; False when the spool is full or the disk refuses."""
        entry = encode_entry(event)
        return self.size + len(entry) <= self._max_bytes and self._write(entry)

    def checkout(self, limit: int) -> list[OutgoingEvent]:
        """The oldest events, at most `limit`; they stay on disk until `finish`. Raises OSError."""
        while True:
            if not size_of(self._outgoing):
                self._next_file()
            batch = self._read(limit)
            if batch or not size_of(self._outgoing):
                return batch
            self._leave()  # the rest of this file holds no whole event
            self._events[self._outgoing] = 0

    def postpone(self, events: Sequence[OutgoingEvent]) -> list[OutgoingEvent]:
        """Writes events of the last `checkout` again at the end of the line, even beyond the bound.

        Returns those that the disk refuses.
        """
        return [event for event in events if not self._write(encode_entry(event))]

    def set_aside(self, events: Sequence[OutgoingEvent]) -> list[OutgoingEvent]:
        """Appends events of the last `checkout` to `undeliverable.spool`.

        Returns all of them if the file would exceed its bound or the disk refuses.
        """
        entries = [encode_entry(event) for event in events]
        file = self.directory / UNDELIVERABLE
        size = size_of(file)
        if not entries or size + sum(map(len, entries)) > self._max_bytes:
            return list(events)
        try:
            append_durably(file, b"".join(entries))
        except OSError as refused:
            with contextlib.suppress(OSError):
                os.truncate(file, size)
            log_safely(log.error, "events cannot be set aside", path=str(file), fault=str(refused))
            return list(events)
        log_safely(log.error, "set aside events that Kafka does not accept", path=str(file), events=len(events))
        return []

    def check_in(self, settled: int, undelivered: Sequence[OutgoingEvent]) -> None:
        """Ends the last `checkout`: `settled` events leave, `undelivered` ones stay first in line.

        If it raises OSError, nothing has changed.
        """
        if not settled:
            return  # all of them stay first in line
        left = self._events[self._outgoing] - settled
        self._leave(undelivered)
        # A file that is gone may have contained events that were damaged after they were counted.
        self._events[self._outgoing] = left if size_of(self._outgoing) else 0

    def take_damaged(self) -> Counter[str]:
        """Events, by record, that were damaged and have been set aside; each is reported once."""
        return self._kept.take_count()

    def has_room(self, size: int) -> bool:
        """Whether a file of `size` bytes may be taken over: it fits, or no other event waits here."""
        return not self.waiting or self.size + size <= self._max_bytes

    def take_over(self, file: Path, events: int) -> bool:
        """Moves the spool file of another owner here; False when it does not fit now. Raises OSError."""
        size = file.stat().st_size
        if not self.has_room(size):
            return False
        adopted = next_file(self.directory, "adopted")
        move(file, adopted)
        self.size += size
        self._events[adopted] = events
        return True

    def announce(self, origin: SpoolOrigin) -> None:
        """Notes the origin of new events before a broker has answered, when only the addresses are known.

        If the addresses differ from those noted before, the cluster may differ too, so earlier events are moved aside.
        If it turns out to be the same cluster, they are adopted again. Events of 0.1.0, or of an owner that never
        learned its cluster, stay.
        """
        before = self._origin()
        moved = before is not None and before.bootstrap != origin.bootstrap
        if before is not None and moved and before.cluster is not None and self.size:
            self._set_apart(before)
        if (before is None or moved) and not self.size:
            self._write_origin(origin)

    def claim(self, origin: SpoolOrigin) -> None:
        """Notes the origin of the events that are appended from now on.

        Earlier events that belong to another cluster are moved aside, into a spool that a process of that cluster
        adopts. Raises OSError when that fails.
        """
        before = self._origin()
        if before is not None and not origin.same_kafka(before):
            self._set_apart(before)
            write_origin(self.directory, origin)
        elif before != origin:
            self._write_origin(origin)

    def close(self) -> None:
        """Closes the files and frees the directory."""
        os.close(self._writer)
        self._lock.release()

    def remove(self) -> None:
        """Closes the files and removes them with the directory. Call it only when no event waits."""
        os.close(self._writer)
        remove_directory(self.directory, self._lock)

    def leave_to_parent(self) -> None:
        """Closes a forked child's copies of the parent's files."""
        os.close(self._writer)
        self._lock.release()

    def _write(self, entry: bytes) -> bool:
        try:
            written = os.write(self._writer, entry)
            if written != len(entry):
                os.ftruncate(self._writer, os.fstat(self._writer).st_size - written)
                return False
        except OSError as refused:
            log_safely(log.error, "spool cannot be written", path=str(self._incoming), fault=str(refused))
            return False
        self.size += len(entry)
        self._events[self._incoming] += 1
        return True

    def _close_incoming(self) -> None:
        """Separates the events of an earlier owner from this one's, as they may be for different clusters."""
        origin = self._origin()
        if origin is not None and origin.cluster is not None and size_of(self._incoming):
            self._incoming.rename(next_file(self.directory, "adopted"))

    def _origin(self) -> SpoolOrigin | None:
        """The origin noted here; None also when it cannot be read, as this directory has no other owner."""
        try:
            return read_origin(self.directory)
        except OSError as fault:
            log_safely(log.error, "spool's origin cannot be read", path=str(self.directory), fault=str(fault))
            return None

    def _write_origin(self, origin: SpoolOrigin) -> None:
        """Notes the origin, and only logs when the disk is full: this process knows it, the note is for others."""
        try:
            write_origin(self.directory, origin)
        except OSError as refused:
            log_safely(log.error, "spool's origin cannot be written", path=str(self.directory), fault=str(refused))

    def _measure(self) -> None:
        self.size = sum(map(size_of, spool_files(self.directory)))

    def _set_apart(self, origin: SpoolOrigin) -> None:
        """Moves aside everything that was here before this process; its own events are in `incoming.spool`."""
        files = [file for file in spool_files(self.directory) if file != self._incoming and size_of(file)]
        if not files:
            return
        name = zlib.crc32(repr((origin.cluster, origin.prefix)).encode())
        apart = self.directory / FORKED / f"elsewhere-{name:08x}"
        apart.mkdir(parents=True, exist_ok=True)
        lock = DirectoryLock(apart / LOCK, APART_SECONDS)
        try:
            write_origin(apart, origin)
            for file in files:
                move(file, next_file(apart, "adopted"))
                self._events[file] = 0
        finally:
            self._measure()
            lock.release()
        log_safely(log.error, "events for another Kafka are not sent", path=str(apart), **asdict(origin))

    def _read(self, limit: int) -> list[OutgoingEvent]:
        batch: list[OutgoingEvent] = []
        self._checked_out, self._damaged = self._read_at, []
        for stretch in read_stretches(self._outgoing, self._read_at):
            if stretch.event is None:
                self._damaged.append(stretch)
            else:
                batch.append(stretch.event)
            self._checked_out = stretch.end
            if len(batch) == limit:
                break
        return batch

    def _leave(self, undelivered: Sequence[OutgoingEvent] = ()) -> None:
        """Advances past the events checked out, keeping `undelivered` ones; damaged bytes among them are set aside."""
        self._kept.keep(self._outgoing, self._damaged)
        self._damaged = []
        size = self._outgoing.stat().st_size
        if undelivered:
            self._rewrite(undelivered)
        elif self._checked_out < size:
            self._read_at = self._checked_out
        else:
            self._outgoing.unlink()
            self._read_at = 0
            self._measure()

    def _next_file(self) -> None:
        """Makes the oldest adopted file the outgoing one, else the incoming one."""
        adopted = sorted(self.directory.glob(ADOPTED))
        if adopted:
            adopted[0].rename(self._outgoing)
            self._events[self._outgoing] = self._events.pop(adopted[0], 0)
        else:
            self._rotate()
            self._events[self._outgoing], self._events[self._incoming] = self._events[self._incoming], 0
        self._read_at = 0

    def _rotate(self) -> None:
        """Turns the incoming file into the outgoing one; if it raises OSError, both files are unchanged."""
        self._incoming.rename(self._outgoing)
        try:
            fresh = os.open(self._incoming, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError:
            self._outgoing.rename(self._incoming)
            raise
        stale, self._writer = self._writer, fresh
        os.close(stale)

    def _rewrite(self, undelivered: Sequence[OutgoingEvent]) -> None:
        """Replaces `outgoing.spool` with the undelivered events and those not read yet, in one rename."""
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
    """Removes a spool directory in which no event waits, under its lock. It stays if it contains other files."""
    with contextlib.suppress(OSError):
        for file in (*spool_files(directory), *(directory / name for name in (ORIGIN, *DRAFTS))):
            file.unlink(missing_ok=True)
    lock.remove()
    with contextlib.suppress(OSError):
        directory.rmdir()
