"""Whether the outputs that lie in the output topics were made of this log.

Kafka drops a group's commits together with the topic they count in. A worker that starts on an events topic that was
deleted and created again then finds no commit that could tell it from another, as on the first day. What tells is the
outputs: each names the offset of the event it was made of, and at that offset lies an event of the same key, or, where
retention has taken it, nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import structlog

from event_schemas.codec import Codec
from event_schemas.errors import RightMissing, SchemaError
from event_schemas.records import EXAMPLE
from stream_processors.audit.dead_letter_store import read_dead_letters
from stream_processors.audit.join_topics import JoinTopics
from stream_processors.audit.log_reader import LogRange, LogReader, LogUnreadable
from stream_processors.partition.commit_position import BEGIN_ANEW, LogReplaced

LOOKED_AT = 5
"""The newest outputs of a partition, of each output topic."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EarlierOutput:
    """An output at its `place`, and the event it was made of: its partition, offset and key."""

    place: str
    partition: int
    offset: int
    key: bytes | None


def require_same_log(topics: JoinTopics, codec: Codec) -> None:
    """Raise LogReplaced when outputs without a commit that names this log were made of another one.

    That is so when no output of a partition fits the log; a single one may be a stranger's. Without the right to read
    the output topics nothing is compared, and the log says so. Raises what reading does.
    """
    committed = topics.committed()
    unsure = [p for p in range(topics.events.partitions) if p not in committed or committed[p].topic_id is None]
    if not unsure:
        return
    held = topics.events.ranges()
    strangers: dict[int, EarlierOutput] = {}
    fitting: set[int] = set()
    try:
        for output in earlier_outputs(topics, codec, unsure):
            fits = _fits(output, topics.events, held[output.partition])
            if fits:
                fitting.add(output.partition)
            elif fits is False:
                strangers[output.partition] = output
    except RightMissing as fault:
        log.warning("outputs are not compared with the log", what=fault.what, fix=fault.fix)
        return
    for partition, output in strangers.items():
        if partition not in fitting:
            raise LogReplaced(
                f"{output.place} was made of an event with key {_shown(output.key)} at offset {output.offset} of"
                f" {topics.events.topic}[{partition}], which is not there: the topic was deleted and created again",
                fix=BEGIN_ANEW,
            )


def earlier_outputs(topics: JoinTopics, codec: Codec, partitions: list[int]) -> Iterator[EarlierOutput]:
    """The newest outputs of these partitions that were made of one event each."""
    for record in topics.examples.read(_newest(topics.examples, partitions)):
        with suppress(SchemaError):
            decoded = codec.decode(record.value)
            if decoded.name == EXAMPLE:
                place = f"{topics.examples.topic}[{record.partition}] at {record.offset}"
                yield EarlierOutput(place, record.partition, decoded.record["outcome"]["offset"], record.key)
    letters = topics.dead_letters.read(_newest(topics.dead_letters, partitions))
    for stored in read_dead_letters(letters, codec):
        letter = stored.letter
        if letter["topic"] == topics.events.topic and letter["partition"] == stored.partition:
            place = f"{topics.dead_letters.topic}[{stored.partition}] at {stored.offset}"
            yield EarlierOutput(place, stored.partition, letter["offset"], letter["key"])


def _newest(reader: LogReader, partitions: list[int]) -> dict[int, LogRange]:
    held = reader.ranges()
    return {p: LogRange(max(held[p].start, held[p].end - LOOKED_AT), held[p].end) for p in partitions if p in held}


def _fits(output: EarlierOutput, events: LogReader, held: LogRange) -> bool | None:
    """Whether the event that an output was made of is there; None where the log no longer holds its offset."""
    if output.offset >= held.end:
        return False
    if output.offset < held.start:
        return None
    try:
        record = next(events.read({output.partition: LogRange(output.offset, output.offset + 1)}), None)
    except LogUnreadable:  # retention has just taken it
        return None
    return None if record is None else record.key == output.key


def _shown(key: bytes | None) -> str:
    return "none" if key is None else repr(key[:80].decode(errors="replace"))
