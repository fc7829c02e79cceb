"""A bounded file of events the broker did not acknowledge, kept until it does.

The directory holds `incoming.spool` (appended to), `outgoing.spool` (being resent) and a lock. An entry is
length, CRC-32 and payload; a torn last entry, as a killed process leaves it, ends the file. Events leave
`outgoing.spool` only when acknowledged, so a process that dies while resending sends some of them twice and
none never.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import structlog

from event_schemas.errors import TrimtabError
from producers.careful_log import tell
from producers.outgoing_event import OutgoingEvent

ENTRY = struct.Struct(">II")
HEADER_LENGTH = struct.Struct(">H")
MEBIBYTE = 1_048_576
log = structlog.get_logger(__name__)


class SpoolError(TrimtabError):
    """The spool's directory cannot be used."""


class DeliverySpool:
    """The spool of one process. Thread-safe; a directory belongs to one process at a time.

    `max_bytes` bounds both files together. Raises SpoolError when the directory cannot be written or is in
    use.
    """

    def __init__(self, directory: Path, max_bytes: int = 64 * MEBIBYTE) -> None:
        self._directory = directory
        self._incoming = directory / "incoming.spool"
        self._outgoing = directory / "outgoing.spool"
        self._max_bytes = max_bytes
        self._mutex = threading.Lock()
        self._lock_file = _claim(directory)
        self._checked_out = 0
        self._read_at = 0
        self._bytes = sum(_cut_torn_tail(path) for path in (self._incoming, self._outgoing))
        self._waiting = sum(1 for path in (self._incoming, self._outgoing) for _ in _entries(path, 0))
        self._writer = os.open(self._incoming, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    @property
    def waiting(self) -> int:
        """Events on disk that nobody has acknowledged."""
        with self._mutex:
            return self._waiting

    def append(self, event: OutgoingEvent) -> bool:
        """Writes the event to disk; False at the bound, when the disk refuses, and after `close`."""
        entry = _encode(event)
        with self._mutex:
            if self._writer < 0 or self._bytes + len(entry) > self._max_bytes:
                return False
            try:
                written = os.write(self._writer, entry)
                if written != len(entry):
                    os.ftruncate(self._writer, os.fstat(self._writer).st_size - written)
                    return False
            except OSError as refused:
                tell(log.error, "spool cannot be written", path=str(self._incoming), fault=str(refused))
                return False
            self._bytes += len(entry)
            self._waiting += 1
            return True

    def checkout(self, limit: int) -> list[OutgoingEvent]:
        """The oldest events, at most `limit`; they stay on disk until `finish` says what became of them."""
        with self._mutex:
            if not self._outgoing.exists() or self._outgoing.stat().st_size == 0:
                self._rotate()
            batch: list[OutgoingEvent] = []
            self._checked_out = self._read_at
            for event, end in _entries(self._outgoing, self._read_at):
                batch.append(event)
                self._checked_out = end
                if len(batch) == limit:
                    break
            if not batch and self._outgoing.stat().st_size > 0:
                self._give_up_outgoing()
            return batch

    def finish(self, delivered: int, undelivered: Sequence[OutgoingEvent]) -> None:
        """Ends the last `checkout`: `delivered` events leave the spool, `undelivered` stay first in line.

        When the disk fails (OSError) nothing has changed, and the same events are checked out again.
        """
        with self._mutex:
            size = self._outgoing.stat().st_size
            if undelivered:
                self._rewrite(undelivered)
            elif self._checked_out < size:
                self._read_at = self._checked_out
            else:
                self._outgoing.unlink()
                self._read_at = 0
                self._bytes -= size
            self._waiting -= delivered

    def close(self) -> None:
        """Closes the files and frees the directory; the next process that opens it sends what waits."""
        with self._mutex:
            if self._writer >= 0:
                os.close(self._writer)
                os.close(self._lock_file)
                self._writer = -1

    def _give_up_outgoing(self) -> None:
        """Nothing can be read any more behind a damaged entry; left in place it would keep all later events waiting."""
        size, before = self._outgoing.stat().st_size, self._waiting
        self._outgoing.unlink()
        self._read_at = 0
        self._bytes -= size
        self._waiting = sum(1 for _ in _entries(self._incoming, 0))
        tell(log.error, "spool was damaged", path=str(self._outgoing), events_lost=before - self._waiting)

    def _rotate(self) -> None:
        """Turns the incoming file into the outgoing one; a disk that refuses (OSError) leaves both as they are."""
        self._incoming.rename(self._outgoing)
        try:
            fresh = os.open(self._incoming, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError:
            self._outgoing.rename(self._incoming)
            raise
        os.close(self._writer)
        self._writer = fresh
        self._read_at = 0

    def _rewrite(self, undelivered: Sequence[OutgoingEvent]) -> None:
        """Replaces `outgoing.spool` by the undelivered events and those not yet read, in one rename."""
        before = self._outgoing.stat().st_size
        shorter = self._directory / "outgoing.spool.new"
        with self._outgoing.open("rb") as old, shorter.open("wb") as new:
            old.seek(self._checked_out)
            for event in undelivered:
                new.write(_encode(event))
            while block := old.read(MEBIBYTE):
                new.write(block)
            new.flush()
            os.fsync(new.fileno())
        shorter.replace(self._outgoing)
        self._bytes += self._outgoing.stat().st_size - before
        self._read_at = 0


def _claim(directory: Path) -> int:
    """Creates the directory and locks it for this process; raises SpoolError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as refused:
        raise SpoolError(
            f"spool {directory} cannot be written: {refused}", mend="choose a writable directory"
        ) from refused
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as taken:
        os.close(lock)
        raise SpoolError(f"spool {directory} belongs to another process", mend="give each process its own") from taken
    return lock


def _encode(event: OutgoingEvent) -> bytes:
    """One entry: length and CRC-32 of a payload of header length, JSON header, key, value."""
    key = b"" if event.key is None else event.key
    header = json.dumps(
        {
            "topic": event.topic,
            "record": event.record,
            "partition": event.partition,
            "key": None if event.key is None else len(key),
        }
    ).encode()
    payload = HEADER_LENGTH.pack(len(header)) + header + key + event.value
    return ENTRY.pack(len(payload), zlib.crc32(payload)) + payload


def _decode(payload: bytes) -> OutgoingEvent:
    (length,) = HEADER_LENGTH.unpack_from(payload)
    start = HEADER_LENGTH.size + length
    header = json.loads(payload[HEADER_LENGTH.size : start])
    end = start + (header["key"] or 0)
    key = None if header["key"] is None else payload[start:end]
    return OutgoingEvent(header["topic"], key, payload[end:], header["record"], header["partition"])


def _entries(path: Path, start: int) -> Iterator[tuple[OutgoingEvent, int]]:
    """Events of a spool file from byte `start`, each with the offset after it, up to a damaged entry."""
    if not path.exists():
        return
    with path.open("rb") as source:
        source.seek(start)
        size = os.fstat(source.fileno()).st_size
        while len(head := source.read(ENTRY.size)) == ENTRY.size:
            length, checksum = ENTRY.unpack(head)
            if length > size:
                return
            payload = source.read(length)
            if len(payload) != length or zlib.crc32(payload) != checksum:
                return
            yield _decode(payload), source.tell()


def _cut_torn_tail(path: Path) -> int:
    """Truncates a spool file after its last whole entry and returns its size, 0 when there is none."""
    if not path.exists():
        return 0
    end = max((after for _, after in _entries(path, 0)), default=0)
    if end < (size := path.stat().st_size):
        tell(log.warning, "spool ends in a torn entry", path=str(path), bytes=size - end)
        os.truncate(path, end)
    return end
