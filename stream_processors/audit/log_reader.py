"""Reads ranges of a topic by offset, outside any consumer group."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, Message, TopicPartition

from event_schemas.errors import ComponentUnreachable, TrimtabError
from event_schemas.log_record import LogRecord
from producers.topics import (
    GROUP_RIGHT,
    RIGHTS,
    Attempt,
    ConnectionFaults,
    as_bytes,
    ask_coordinator,
    asking,
    asking_as_group,
    consumed_record,
    creating_client,
    explained,
    partitions_of,
)
from stream_processors.partition.commit_position import CommitPosition

Headers = Mapping[str, bytes]

ANSWER_SECONDS = 10.0
BARE_GROUP = "trimtab-log-reader"
"""The client requires a group name; nothing is read or committed under it."""
# One call returns at most this many messages and waits at most this long for them.
BATCH = 5_000
TURN_SECONDS = 0.1


class LogUnreadable(TrimtabError):
    """The requested range of a topic cannot be read, or contains records of another type."""


@dataclass(frozen=True, slots=True)
class LogRange:
    """A range of offsets of one partition: `start` ≤ offset < `end`."""

    start: int
    end: int


class LogReader:
    """One topic, read by offset. `client_config` holds connection settings in librdkafka's names.

    Raises ComponentUnreachable when no broker answers, TopicError when the topic does not exist.
    """

    def __init__(self, client_config: Mapping[str, str], topic: str) -> None:
        self._config = dict(client_config)
        self.topic = topic
        self.partitions = partitions_of(client_config, topic)

    def ranges(self) -> dict[int, LogRange]:
        """The offsets that each partition contains now."""
        with self._consumer() as consumer:
            found = {}
            for partition in range(self.partitions):
                start, end = consumer.get_watermark_offsets(
                    TopicPartition(self.topic, partition), timeout=ANSWER_SECONDS
                )
                found[partition] = LogRange(start, end)
            return found

    def read(self, ranges: Mapping[int, LogRange]) -> Iterator[LogRecord]:
        """The records of these ranges, in offset order within a partition; raises LogUnreadable.

        A range ends early if the log does. Gaps left by transaction markers and compaction are skipped.
        """
        for record, _ in self._read(ranges):
            yield record

    def read_with_headers(self, ranges: Mapping[int, LogRange]) -> Iterator[tuple[LogRecord, Headers]]:
        """Like `read`, but each record with its Kafka headers."""
        for record, message in self._read(ranges):
            yield record, {name: as_bytes(field) or b"" for name, field in dict(message.headers() or {}).items()}

    def _read(self, ranges: Mapping[int, LogRange]) -> Iterator[tuple[LogRecord, Message]]:
        wanted = {partition: span for partition, span in ranges.items() if span.start < span.end}
        with self._consumer() as consumer:
            consumer.assign([TopicPartition(self.topic, p, span.start) for p, span in wanted.items()])
            heard = time.monotonic()
            while wanted:
                for message in consumer.consume(BATCH, timeout=TURN_SECONDS):
                    heard = time.monotonic()
                    record = self._record(message, wanted)
                    if record is not None:
                        yield record, message
                if wanted and time.monotonic() - heard > ANSWER_SECONDS:
                    raise self._silence(wanted)

    def read_all(self) -> Iterator[LogRecord]:
        """Every record that the topic contains now."""
        return self.read(self.ranges())

    def first_since(self, partition: int, append_time: int) -> int:
        """The first offset appended at `append_time` (ms) or later; the end of the log if there is none."""
        with self._consumer() as consumer:
            asked = TopicPartition(self.topic, partition, max(0, append_time))
            found = consumer.offsets_for_times([asked], timeout=ANSWER_SECONDS)[0].offset
            if found >= 0:
                return found
            return consumer.get_watermark_offsets(TopicPartition(self.topic, partition), timeout=ANSWER_SECONDS)[1]

    def committed(self, group: str) -> dict[int, CommitPosition]:
        """The positions that a join's consumer group has committed; partitions without one are left out."""
        with asking_as_group(self._config, group), self._consumer(group) as consumer:
            asked = [TopicPartition(self.topic, partition) for partition in range(self.partitions)]
            answers = ask_coordinator(lambda: consumer.committed(asked, timeout=ANSWER_SECONDS), ANSWER_SECONDS)
        return {
            answer.partition: CommitPosition.parse(answer.offset, answer.metadata or "")
            for answer in answers
            if answer.offset != OFFSET_INVALID
        }

    def _record(self, message: Message, wanted: dict[int, LogRange]) -> LogRecord | None:
        fault, partition, offset = message.error(), message.partition(), message.offset()
        if fault is not None:
            if fault.code() == KafkaError._PARTITION_EOF:
                wanted.pop(partition or 0, None)
                return None
            if fault.code() == GROUP_RIGHT:  # reading by offset needs no group, but the client looks one up anyway
                return None
            if fault.code() in RIGHTS:
                raise explained(fault, self._config, Attempt("Read", "topic", self.topic))
            raise LogUnreadable(
                f"{self.topic}[{partition}] cannot be read: {fault.str()}", fix="choose offsets that the log still has"
            )
        if partition is None or offset is None or partition not in wanted:
            return None
        end = wanted[partition].end
        if offset >= end - 1:
            del wanted[partition]
        if offset >= end:
            return None
        return consumed_record(message)

    def _silence(self, wanted: Mapping[int, LogRange]) -> ComponentUnreachable:
        return ComponentUnreachable(
            f"{self.topic}{sorted(wanted)} sent nothing for {ANSWER_SECONDS:.0f} s",
            fix=f"check the broker at {self._config['bootstrap.servers']}",
        )

    @contextmanager
    def _consumer(self, group: str = BARE_GROUP) -> Iterator[Consumer]:
        faults = ConnectionFaults()
        settings: dict[str, Any] = {
            **self._config,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "error_cb": faults,
        }
        with creating_client():
            consumer = Consumer(settings, logger=logging.getLogger("trimtab.stream_processors"))
        attempt = Attempt("Read", "topic", self.topic) if group == BARE_GROUP else Attempt("Describe", "group", group)
        try:
            with asking(settings, attempt, faults, lambda: consumer.poll(0)):
                yield consumer
        finally:
            consumer.close()
