"""Events as bytes in a spool file.

An entry is length, CRC-32 and payload. Damage loses only the damaged events: the reader continues at the next whole
entry, and reports the bytes in between. A process that is killed while it writes also leaves damaged bytes.
"""

from __future__ import annotations

import json
import os
import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from event_schemas.units import MEBIBYTE
from producers.delivery.delivery_ledger import UNKNOWN_RECORD
from producers.delivery.outgoing_event import OutgoingEvent

ENTRY = struct.Struct(">II")
HEADER_LENGTH = struct.Struct(">H")
HEADER_AT = ENTRY.size + HEADER_LENGTH.size
MARK = b'{"topic": "'
"""The start of every header; an entry may begin HEADER_AT bytes before it."""
SEARCH_BYTES = 4 * MEBIBYTE
"""Maximum length of an entry while searching: a false start could otherwise mean reading the whole file."""
BLOCK = 65_536
TOPIC_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")
RECORD_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")
VALID_PARTITIONS = range(2**31)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes `start` up to, but not including, `end` of a file: one event, or None when they are no whole event."""

    start: int
    end: int
    event: OutgoingEvent | None


@dataclass(frozen=True, slots=True)
class _Header:
    topic: str
    record: str
    partition: int | None
    key: int | None


def encode_entry(event: OutgoingEvent) -> bytes:
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


def read_stretches(path: Path, start: int = 0) -> Iterator[Stretch]:
    """The stretches of a file from byte `start` to its end; none when there is no file. Raises OSError."""
    if not path.exists():
        return
    with path.open("rb") as source:
        size = os.fstat(source.fileno()).st_size
        while start < size:
            whole = _entry_at(source, start, size)
            event, end = whole or (None, _end_of_damage(source, start, size))
            yield Stretch(start, end, event)
            start = end


def read_events(path: Path) -> Iterator[OutgoingEvent]:
    """The whole events of a file."""
    return (stretch.event for stretch in read_stretches(path) if stretch.event is not None)


def known_in(damaged: bytes) -> Counter[str]:
    """The minimum number of events, by record, that a damaged stretch contained: its readable headers, or one.

    If the length of the first entry spans the whole stretch it is one event: headers after its own are its payload.
    """
    known: Counter[str] = Counter()
    one = len(damaged) >= ENTRY.size and ENTRY.size + int(ENTRY.unpack_from(damaged)[0]) == len(damaged)
    place = damaged.find(MARK, 0, HEADER_AT + len(MARK) if one else None)
    while place >= 0:
        if place >= HEADER_LENGTH.size:
            (length,) = HEADER_LENGTH.unpack_from(damaged, place - HEADER_LENGTH.size)
            if (header := _header(damaged[place : place + length])) is not None:
                known[header.record] += 1
        place = -1 if one else damaged.find(MARK, place + 1)
    return known or Counter({UNKNOWN_RECORD: 1})


def _entry_at(
    source: BinaryIO, start: int, size: int, limit: int | None = None
) -> tuple[OutgoingEvent | None, int] | None:
    """The event of the entry at `start`, and the offset after it; None when there is no whole entry.

    The event is None when the entry is whole but another program wrote it.
    """
    source.seek(start)
    head = source.read(ENTRY.size)
    if len(head) != ENTRY.size:
        return None
    length, checksum = ENTRY.unpack(head)
    end = start + ENTRY.size + length
    if length < HEADER_LENGTH.size or end > size or (limit is not None and length > limit):
        return None
    payload = source.read(length)
    if len(payload) != length or zlib.crc32(payload) != checksum:
        return None
    return _decode(payload), end


def _event_at(source: BinaryIO, start: int, size: int) -> bool:
    found = _entry_at(source, start, size, SEARCH_BYTES)
    return found is not None and found[0] is not None


def _end_of_damage(source: BinaryIO, start: int, size: int) -> int:
    """Where the next whole event begins, or the end of the file.

    The end that the damaged entry itself states comes first, if a whole event or the end of the file is there: its
    payload is a caller's, and may contain bytes that look like an event.
    """
    source.seek(start)
    head = source.read(ENTRY.size)
    if len(head) == ENTRY.size:
        end = start + ENTRY.size + int(ENTRY.unpack(head)[0])
        if end == size or (end < size and _event_at(source, end, size)):
            return end
    for mark in _marks(source, start + 1 + HEADER_AT):
        if _event_at(source, mark - HEADER_AT, size):
            return mark - HEADER_AT
    return size


def _marks(source: BinaryIO, start: int) -> Iterator[int]:
    """The offsets of MARK at or after `start`."""
    while True:
        source.seek(start)
        block = source.read(BLOCK)
        place = block.find(MARK)
        while place >= 0:
            yield start + place
            place = block.find(MARK, place + 1)
        if len(block) < BLOCK:
            return
        start += BLOCK - len(MARK) + 1


def _decode(payload: bytes) -> OutgoingEvent | None:
    (length,) = HEADER_LENGTH.unpack_from(payload)
    start = HEADER_LENGTH.size + length
    header = _header(payload[HEADER_LENGTH.size : start])
    if header is None or len(payload) < start + (header.key or 0):
        return None
    end = start + (header.key or 0)
    key = None if header.key is None else payload[start:end]
    return OutgoingEvent(header.topic, key, payload[end:], header.record, header.partition)


@lru_cache(4_096)
def _header(text: bytes) -> _Header | None:
    """The header, if Kafka's client can send such an event; None for any other text."""
    try:
        header = json.loads(text)
        topic, record, partition, key = (header[name] for name in ("topic", "record", "partition", "key"))
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    named = isinstance(topic, str) and TOPIC_NAME.fullmatch(topic) and isinstance(record, str)
    if not named or not RECORD_NAME.fullmatch(record) or not _is_count(partition) or not _is_count(key):
        return None
    return _Header(topic, record, partition, key)


def _is_count(value: object) -> bool:
    return value is None or (type(value) is int and value in VALID_PARTITIONS)
