"""Broken events: each must become a dead letter, and none may stop the stream."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from event_schemas import records as r
from event_schemas.codec import HEADER, Codec
from event_schemas.errors import SchemaError
from tests.components.homefeed_log import START, HomefeedLog, SentEvent

LARGE_BYTES = 10_000_000
FUZZED_FRAMES = 400
UNKNOWN_IDS = (0, 99, 2**31 - 1, -1)
MALFORMED = ("malformed",)


@dataclass(frozen=True, slots=True)
class PoisonEvent:
    """`reasons`: what its dead letter may say; empty where chance decides (a flipped bit may do no harm)."""

    kind: str
    event: SentEvent
    reasons: tuple[str, ...]


def poison(log: HomefeedLog, codec: Codec, seed: int) -> list[PoisonEvent]:
    """Every kind, and FUZZED_FRAMES real frames of `log` with something broken; the same seed gives the same."""
    draw = random.Random(seed)
    frames = [event for event in log.events() if event.value is not None and _decodes(codec, event.value)]
    certain = [PoisonEvent(kind, event, MALFORMED) for kind, event in _certain(codec, frames, draw)]
    large = SentEvent(START, b"poison-large", _large_request(codec, "poison-large"))
    fuzzed = [PoisonEvent("fuzzed frame", event, ()) for event in _fuzzed(codec, frames, draw, log.end)]
    events = [*certain, PoisonEvent("10 MB, valid but alone", large, ("incomplete", "late")), *fuzzed]
    draw.shuffle(events)
    return events


def _certain(codec: Codec, frames: Sequence[SentEvent], draw: random.Random) -> Iterator[tuple[str, SentEvent]]:
    yield "null value", SentEvent(START, b"poison-null-value", None)
    yield "null key and value", SentEvent(START, None, None)
    yield "empty value", SentEvent(START, b"poison-empty", b"")
    yield "empty key", SentEvent(START, b"", _request(codec, "poison-empty-key"))
    yield "null key", SentEvent(START, None, _request(codec, "poison-null-key"))
    yield "key is not the request_id", SentEvent(START, b"poison-other", _request(codec, "poison-mis-keyed"))
    yield "key is not UTF-8", SentEvent(START, b"\xff\xfe", _request(codec, "poison-bytes"))
    for number in UNKNOWN_IDS:
        yield f"schema id {number}", SentEvent(START, b"poison-id", struct.pack(">bi", 0, number) + b"datum")
    yield "wrong magic byte", SentEvent(START, b"poison-magic", b"\x01" + _request(codec, "poison-magic")[1:])
    yield "frame cut in its header", SentEvent(START, b"poison-header", b"\x00\x00\x00")
    yield "record of another topic", SentEvent(START, b"poison-topic", _tally(codec))
    for number, event in enumerate(draw.sample(list(frames), 40)):
        value = event.value or b""
        cut = value[: draw.randrange(HEADER.size, len(value))]
        yield "truncated datum", SentEvent(event.time, event.key, cut)
        yield "bytes after the datum", SentEvent(event.time, event.key, value + draw.randbytes(1 + number % 5))
    noise = _request(codec, "poison-noise")[: HEADER.size] + draw.randbytes(LARGE_BYTES)
    yield "10 MB of noise", SentEvent(START, b"poison-noise", noise)


def _fuzzed(codec: Codec, frames: Sequence[SentEvent], draw: random.Random, end: int) -> Iterator[SentEvent]:
    """Mutants of real frames.

    One that became a valid event from after `end` is left out: it would rightly close every window of its partition.
    """
    made = 0
    while made < FUZZED_FRAMES:
        event = draw.choice(frames)
        mutant = draw.choice(MUTATIONS)(bytearray(event.value or b""), draw)
        if mutant != event.value and _event_time(codec, mutant) <= end:
            made += 1
            yield SentEvent(event.time, event.key, mutant)


def _flip_bits(frame: bytearray, draw: random.Random) -> bytes:
    for _ in range(draw.randint(1, 8)):
        frame[draw.randrange(len(frame))] ^= 1 << draw.randrange(8)
    return bytes(frame)


def _cut_out(frame: bytearray, draw: random.Random) -> bytes:
    start = draw.randrange(HEADER.size, len(frame))
    return bytes(frame[:start] + frame[start + draw.randint(1, 16) :])


def _put_in(frame: bytearray, draw: random.Random) -> bytes:
    start = draw.randrange(HEADER.size, len(frame))
    return bytes(frame[:start] + draw.randbytes(draw.randint(1, 16)) + frame[start:])


def _claim_length(frame: bytearray, draw: random.Random) -> bytes:
    """A varint of up to 2^63 somewhere: a string or array that claims to be larger than any memory."""
    start = draw.randrange(HEADER.size, len(frame))
    return bytes(frame[:start] + b"\xfe" * draw.randint(3, 9) + b"\x7f" + frame[start:])


def _swap_schema(frame: bytearray, draw: random.Random) -> bytes:
    return struct.pack(">bi", 0, draw.randint(1, 9)) + bytes(frame[HEADER.size :])


MUTATIONS: tuple[Callable[[bytearray, random.Random], bytes], ...] = (
    _flip_bits,
    _cut_out,
    _put_in,
    _claim_length,
    _swap_schema,
)


def _decodes(codec: Codec, value: bytes) -> bool:
    try:
        codec.decode(value)
    except SchemaError:
        return False
    return True


def _event_time(codec: Codec, value: bytes) -> int:
    """Of what can be decoded; START otherwise, and for records without one."""
    try:
        return int(codec.decode(value).record.get("event_time") or START)
    except SchemaError:
        return START


def _request(codec: Codec, request_id: str, **fields: Any) -> bytes:
    record = {
        "request_id": request_id,
        "event_time": START,
        "user_id": None,
        "session_id": None,
        "cohort": None,
        "user_embedding": [],
        "context": [],
        "history": [],
    }
    return codec.encode(r.REQUEST, {**record, **fields})


def _large_request(codec: Codec, request_id: str) -> bytes:
    return _request(codec, request_id, context=[{"name": "page", "value": "x" * LARGE_BYTES}])


def _tally(codec: Codec) -> bytes:
    return codec.encode(r.TALLY, {"event_time": START, "source": "poison", "counts": []})
