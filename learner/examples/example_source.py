"""Sources of examples: a Kafka topic, or a log in memory."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog
from confluent_kafka import Consumer, KafkaError, TopicPartition

from event_schemas.errors import ComponentUnreachable
from event_schemas.log_record import LogRecord
from learner.examples.learner_errors import ExamplesLost
from producers.topics import (
    POSITION_GONE,
    TOPIC_ABSENT,
    Attempt,
    ConnectionFaults,
    TopicIdentities,
    absent_topics,
    asking,
    consumed_record,
    creating_client,
    explained,
    right_missing,
    topic_identities,
)

METADATA_TIMEOUT_S = 5.0
REREAD = (
    "the topic lost records or was created again: raise its retention and start `trimtab learn` once with --reread, "
    "which keeps the stored examples and reads what the log still has"
)
GROUP = "trimtab-learner-reads-by-assignment"
log = structlog.get_logger(__name__)


class ExampleSource(Protocol):
    """A partitioned log that is read from explicit offsets.

    Call `start` first, and again whenever the position or the partitions may have changed; then call `poll` any number
    of times, and `close` at the end. The source commits nothing: the caller stores the offsets with the records.
    """

    def start(self, offsets: Mapping[int, int]) -> None:
        """Read each partition from its offset; partitions without an offset from the beginning of the log.

        Raises ExamplesLost if the log does not have an offset, ComponentUnreachable if it does not answer, TopicError
        if there is no such topic, and RightMissing if this user may not see it.
        """

    def poll(self, max_records: int, timeout_s: float) -> list[LogRecord]:
        """The next records, with ascending offsets in each partition; empty if none came within `timeout_s`."""

    def topic_id(self) -> str:
        """The current id of the topic; offsets are only valid for the topic with the same id.

        If it is asked after `poll`, it is the id of the topic that the records came from, because the id of a deleted
        topic is never used again. Raises ComponentUnreachable, or TopicError if the topic or its id is missing.
        """

    def positions(self) -> Mapping[int, int]:
        """For each partition the offset of the next record that `poll` returns."""

    def ends(self) -> Mapping[int, int]:
        """For each partition the offset that the next record written will get, as of now."""

    def close(self) -> None:
        """Release the connection."""


class MemoryExampleSource:
    """An `ExampleSource` over records in memory; `extend` adds more while it is read."""

    def __init__(self, records: Sequence[LogRecord], topic_id: str = "memory") -> None:
        self._records = list(records)
        self._topic_id = topic_id
        self._next: dict[int, int] = {}

    def extend(self, records: Sequence[LogRecord]) -> None:
        """Append to the log."""
        self._records.extend(records)

    def create_again(self, records: Sequence[LogRecord], topic_id: str) -> None:
        """Replace it with another topic that has other records; positions stay, as those of a client would."""
        self._records, self._topic_id = list(records), topic_id

    def start(self, offsets: Mapping[int, int]) -> None:
        """Read from `offsets`."""
        ends = self.ends()
        for partition, offset in offsets.items():
            _require_held(partition, offset, (0, ends.get(partition, 0)))
        self._next = {partition: offsets.get(partition, 0) for partition in ends}

    def poll(self, max_records: int, timeout_s: float) -> list[LogRecord]:  # noqa: ARG002  a log in memory never waits
        """The next records in the order given."""
        ready = [r for r in self._records if r.offset >= self._next.get(r.partition, 0)][:max_records]
        for record in ready:
            self._next[record.partition] = record.offset + 1
        return ready

    def topic_id(self) -> str:
        """The id given to the constructor or to `create_again`."""
        return self._topic_id

    def positions(self) -> Mapping[int, int]:
        """Where `poll` continues."""
        return dict(self._next)

    def ends(self) -> Mapping[int, int]:
        """One past the largest offset of each partition."""
        return {r.partition: r.offset + 1 for r in sorted(self._records, key=lambda r: r.offset)}

    def close(self) -> None:
        """Nothing to release."""


class KafkaExampleSource:
    """An `ExampleSource` over a Kafka topic; it uses `assign()`, so no consumer group decides what it reads."""

    def __init__(
        self,
        client_config: Mapping[str, str],
        topic: str,
        metadata_timeout_s: float = METADATA_TIMEOUT_S,
        identities: TopicIdentities | None = None,
    ) -> None:
        """If `identities` is None, the broker is asked for the topic's id."""
        self._topic = topic
        self._identities = topic_identities(client_config) if identities is None else identities
        self._timeout_s = metadata_timeout_s
        self._next: dict[int, int] = {}
        self._client_config = dict(client_config)
        settings = {
            **client_config,
            "group.id": GROUP,
            "enable.auto.commit": False,
            # Never skip records silently: an offset that the log has lost is an error.
            "auto.offset.reset": "error",
        }
        with creating_client():
            self._consumer = Consumer(settings)
            # It fetches nothing. On a connection that fetches, each question waits behind a fetch for half a second.
            self._asker = Consumer(settings)

    def start(self, offsets: Mapping[int, int]) -> None:
        """Assign every partition of the topic."""
        held = self._held()
        self._next = {partition: offsets.get(partition, low) for partition, (low, _) in held.items()}
        for partition, offset in self._next.items():
            _require_held(partition, offset, held[partition])
        self._consumer.assign([TopicPartition(self._topic, p, offset) for p, offset in self._next.items()])

    def poll(self, max_records: int, timeout_s: float) -> list[LogRecord]:
        """Makes one consume call; raises ExamplesLost if the log no longer has the position."""
        records = []
        for message in self._consumer.consume(max_records, timeout_s):
            fault = message.error()
            if fault is not None:
                self._raise_unless_transient(fault)
                continue
            record = consumed_record(message)
            self._next[record.partition] = record.offset + 1
            records.append(record)
        return records

    def topic_id(self) -> str:
        """Asks the broker."""
        return self._identities.of(self._topic)

    def positions(self) -> Mapping[int, int]:
        """Where `poll` continues."""
        return dict(self._next)

    def ends(self) -> Mapping[int, int]:
        """The high watermarks."""
        return {partition: end for partition, (_, end) in self._held().items()}

    def close(self) -> None:
        """Close the consumers."""
        self._asker.close()
        self._consumer.close()

    def _held(self) -> dict[int, tuple[int, int]]:
        """For each partition the first offset in the log and the next one to be written."""
        attempt = Attempt("Describe", "topic", self._topic)
        with asking(self._client_config, attempt, ConnectionFaults()):
            found = self._asker.list_topics(self._topic, timeout=self._timeout_s).topics[self._topic]
            if found.error is not None and found.error.code() not in TOPIC_ABSENT:
                raise explained(found.error, self._client_config, attempt)
            if not found.partitions:
                raise absent_topics([self._topic])
            return {partition: self._watermarks(partition) for partition in sorted(found.partitions)}

    def _watermarks(self, partition: int) -> tuple[int, int]:
        low, high = self._asker.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=self._timeout_s)
        return max(low, 0), max(high, 0)

    def _raise_unless_transient(self, fault: KafkaError) -> None:
        if fault.code() in POSITION_GONE:
            raise ExamplesLost(
                f"topic {self._topic} no longer has the offset to continue from: {fault.str()}", fix=REREAD
            )
        if fault.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise right_missing(self._client_config, Attempt("Read", "topic", self._topic))
        if fault.fatal():
            raise ComponentUnreachable(f"Kafka consumer failed: {fault.str()}", fix="check the broker and start again")
        log.warning("consumer", topic=self._topic, fault=fault.str())


def _require_held(partition: int, offset: int, held: tuple[int, int]) -> None:
    low, high = held
    if low <= offset <= high:
        return
    raise ExamplesLost(
        f"examples partition {partition}: the next offset is {offset}, the log has {low} to {high}", fix=REREAD
    )
