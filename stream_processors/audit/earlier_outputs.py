"""Checks whether the outputs in the output topics were made from the current events log.

Kafka deletes a group's commits together with their topic. If the events topic was deleted and created again, a worker
finds no commit, just as on its first start, so commits cannot reveal the new topic. The outputs can: each contains the
offset of the event it was made from, and the log must have an event with the same key at that offset, unless retention
has deleted it.
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
"""How many of the newest outputs are checked, per partition and output topic."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EarlierOutput:
    """An output at `place`, with the partition, offset and key of the event it was made from."""

    place: str
    partition: int
    offset: int
    key: bytes | None


def require_same_log(topics: JoinTopics, codec: Codec) -> None:
    """Raise LogReplaced if outputs were made from another log; only checks partitions without a commit for this log.

    They were made from another log if none of a partition's outputs matches the log; a single mismatch may come from
    another writer. Without the right to read the output topics nothing is compared, and a warning is logged. Also
    raises LogReader's errors.
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
                f"{output.place} was made from an event with key {_shown(output.key)} at offset {output.offset} of"
                f" {topics.events.topic}[{partition}], but there is no such event: the topic was deleted and created"
                " again",
                fix=BEGIN_ANEW,
            )


def earlier_outputs(topics: JoinTopics, codec: Codec, partitions: list[int]) -> Iterator[EarlierOutput]:
    """The newest outputs of these partitions, each with the event it was made from."""
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
    """Whether the log has the event that an output was made from; None if its offset is no longer in the log."""
    if output.offset >= held.end:
        return False
    if output.offset < held.start:
        return None
    try:
        record = next(events.read({output.partition: LogRange(output.offset, output.offset + 1)}), None)
    except LogUnreadable:  # retention has just deleted it
        return None
    return None if record is None else record.key == output.key


def _shown(key: bytes | None) -> str:
    return "none" if key is None else repr(key[:80].decode(errors="replace"))
