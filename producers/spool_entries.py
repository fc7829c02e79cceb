"""Events as bytes in a spool file.

An entry is length, CRC-32 and payload. The first entry that is torn, as a killed process leaves it, or damaged ends
what can be read of a file.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import structlog

from producers.careful_log import tell
from producers.outgoing_event import OutgoingEvent

ENTRY = struct.Struct(">II")
HEADER_LENGTH = struct.Struct(">H")
log = structlog.get_logger(__name__)


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


def read_entries(path: Path, start: int = 0) -> Iterator[tuple[OutgoingEvent, int]]:
    """The events of a file from byte `start`, each with the offset after it; none when there is no file."""
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
            event = _decode(payload)
            if event is None:
                return
            yield event, source.tell()


def cut_torn_tail(path: Path) -> Counter[str]:
    """Truncates a file after its last whole entry; the events in it by record, none when there is no file."""
    events: Counter[str] = Counter()
    if not path.exists():
        return events
    end = 0
    for event, after in read_entries(path):
        events[event.record] += 1
        end = after
    if end < (size := path.stat().st_size):
        tell(log.warning, "spool ends in a torn entry", path=str(path), bytes=size - end)
        os.truncate(path, end)
    return events


def _decode(payload: bytes) -> OutgoingEvent | None:
    """The event; None when the payload is whole and yet none, as another program might have left it."""
    try:
        (length,) = HEADER_LENGTH.unpack_from(payload)
        start = HEADER_LENGTH.size + length
        header = json.loads(payload[HEADER_LENGTH.size : start])
        end = start + (header["key"] or 0)
        key = None if header["key"] is None else payload[start:end]
        return OutgoingEvent(header["topic"], key, payload[end:], header["record"], header["partition"])
    except (struct.error, ValueError, LookupError, TypeError):
        return None
