"""Reads source topics as a member of a consumer group; the caller decides when positions are settled and committed.

This module implements steps 0, 1 and 5 of the bridge's protocol (docs/guides/bridge.md).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from event_schemas.errors import TrimtabError
from event_schemas.log_record import LogRecord
from producers.bridge.engagement_mapping import BridgeFate
from producers.bridge.source_position import SourcePartition, SourcePosition
from producers.topics.consumed_record import consumed_record
from producers.topics.group_coordinator import ask_coordinator
from producers.topics.kafka_connection import Attempt, ConnectionFaults, asking, creating_client, explained
from producers.topics.kafka_refusals import POSITION_GONE, RIGHTS
from producers.topics.topic_identity import TopicIdentities, TopicMissing, recreated, topic_identities

ANSWER_SECONDS = 10.0
CORRECT_TOPIC = "correct `topic` in that [[bridge]] section, or create the topic"
COMPARED_SECONDS = 10.0
"""How often the topics' ids are compared while no records arrive."""
REFRESH_SECONDS = 30
"""How soon the group notices partitions added to a source topic; the client's default of five minutes is long."""
Answer = TypeVar("Answer")

# The group has given the partition to another member, or is about to; the next owner reads from the last commit.
PARTITION_MOVED = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.FENCED_INSTANCE_ID,
    }
)
AWAY = frozenset({KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._RESOLVE})

log = structlog.get_logger(__name__)


class SourceUnreadable(TrimtabError):
    """A source topic is missing, or reading it cannot continue."""


@dataclass(frozen=True, slots=True)
class ConsumerSettings:
    """Which topics are read, by which group, and how."""

    client_config: Mapping[str, str]
    """Connection settings in librdkafka's names."""

    topics: tuple[str, ...]
    """Full names of the source topics."""

    group: str
    """Consumer group; its members share the partitions."""

    since: int | None = None
    """Where to start in a partition without a commit: at its first record of this time (ms) or later; None: at its
    first record."""

    session_seconds: float = 10.0
    """A member silent for this many seconds loses its partitions to the others."""

    batch: int = 1_000
    """Maximum number of records in a round."""

    wait_seconds: float = 0.5
    """How long to wait at most for a round to fill."""

    identities: TopicIdentities | None = None
    """Tells a topic from one that was created again under its name; None: the broker is asked."""


class SourceConsumer:
    """One member of the group. Everything happens on the caller's thread; partitions come and go inside `poll`.

    A topic that was created again has a new id, and old positions mean nothing in it. So the id is committed with each
    position, and compared when partitions are taken over, before records are returned, and from time to time while none
    arrive (`clock`, in seconds).
    """

    def __init__(self, settings: ConsumerSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._identities = settings.identities or topic_identities(settings.client_config)
        self._clock = clock
        self._compared_at = clock()
        self.positions: dict[SourcePartition, SourcePosition] = {}
        self._at_end: set[SourcePartition] = set()
        self._assigned = self._closing = False
        self._client_config = {**settings.client_config, "group.id": settings.group}
        self._faults = ConnectionFaults()
        self._consumer = self._connect()
        self._ends = self._find_ends()
        self._consumer.subscribe(
            list(settings.topics), on_assign=self._take_over, on_revoke=self._give_up, on_lost=self._lose
        )

    def poll(self) -> list[LogRecord]:
        """Step 1: the next records, in offset order within a partition; raises SourceUnreadable and RightMissing.

        Returns only unsettled records of the partitions assigned now: around a rebalance the client may still deliver
        records that it fetched before. Raises TopicError when the topic is gone or the broker does not give its id.
        """
        messages = self._ask(
            self._as_group, lambda: self._consumer.consume(self._settings.batch, self._settings.wait_seconds)
        )
        records = [record for message in messages if (record := self._record(message)) is not None]
        due = [record for record in records if self._is_due(record)]
        if due or self._clock() - self._compared_at > COMPARED_SECONDS:
            # The id must be asked for after the records came: a deleted topic never comes back under the same id.
            self._require_same_topics({record.topic for record in due} or {place.topic for place in self.positions})
        return due

    def mark_done(self, fates: Mapping[tuple[SourcePartition, int], BridgeFate]) -> None:
        """Marks records as settled, in the order they were polled; the next `commit` includes them."""
        for (place, offset), fate in fates.items():
            self.positions[place].mark_done(offset, fate)

    def commit(self) -> None:
        """Step 5: commits what is settled, and waits for the broker's answer.

        If the group has moved the partitions in the meantime, nothing is committed and their next owner reads the
        records again. Raises ComponentUnreachable and RightMissing.
        """
        due = [
            TopicPartition(place.topic, place.partition, position.next_offset, metadata=position.text())
            for place, position in self.positions.items()
            if position.uncommitted
        ]
        if not due:
            return
        try:
            ask_coordinator(lambda: self._consumer.commit(offsets=due, asynchronous=False), ANSWER_SECONDS)
        except KafkaException as fault:
            if fault.args[0].code() not in PARTITION_MOVED:
                raise explained(fault.args[0], self._client_config, self._as_group, self._faults) from fault
            log.warning("commit refused", reason=fault.args[0].str())
            return
        for position in self.positions.values():
            position.uncommitted = False

    @property
    def finished(self) -> bool:
        """Whether every assigned partition is settled up to the end that it had when this member started."""
        return self._assigned and all(
            place in self._at_end or position.next_offset >= self._ends.get(place, 0)
            for place, position in self.positions.items()
        )

    def lags(self) -> dict[SourcePartition, int]:
        """Unsettled records per partition, up to the end of the source that the client knows of."""
        found = {}
        for place, position in self.positions.items():
            _, end = self._consumer.get_watermark_offsets(TopicPartition(*place), cached=True)
            found[place] = max(0, end - position.next_offset)
        return found

    def close(self) -> None:
        """Leaves the group. Partitions that it is given meanwhile are not taken over."""
        self._closing = True
        self._consumer.close()

    @property
    def _as_group(self) -> Attempt:
        return Attempt("Read", "group", self._settings.group)

    def _connect(self) -> Consumer:
        config: dict[str, Any] = {
            "topic.metadata.refresh.interval.ms": REFRESH_SECONDS * 1000,
            **self._client_config,
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "session.timeout.ms": int(self._settings.session_seconds * 1000),
            "heartbeat.interval.ms": int(self._settings.session_seconds * 1000 / 5),
            "error_cb": self._faults,
        }
        with creating_client():
            return Consumer(config, logger=logging.getLogger("trimtab.producers"))

    def _find_ends(self) -> dict[SourcePartition, int]:
        """The current end of every partition; raises SourceUnreadable for a missing topic, and RightMissing."""
        ends = {}
        for topic in self._settings.topics:
            attempt = Attempt("Describe", "topic", topic)
            found = self._ask(attempt, partial(self._consumer.list_topics, topic, ANSWER_SECONDS)).topics[topic]
            if found.error is not None and found.error.code() in RIGHTS:
                raise explained(found.error, self._client_config, attempt)
            if found.error is not None:
                raise SourceUnreadable(
                    f"source topic {topic}: {found.error.str()}",
                    fix=CORRECT_TOPIC,
                )
            for partition in found.partitions:
                ends[SourcePartition(topic, partition)] = self._watermarks(topic, partition)[1]
        return ends

    def _take_over(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Step 0: continues from the group's commit, or from the configured start."""
        if self._closing:
            return
        committed = partial(consumer.committed, partitions, timeout=ANSWER_SECONDS)
        answers = self._ask(self._as_group, lambda: ask_coordinator(committed, ANSWER_SECONDS))
        topic_ids = {topic: self._topic_id(topic) for topic in {partition.topic for partition in partitions}}
        for answer in answers:
            if answer.error is not None:
                raise explained(answer.error, self._client_config, self._as_group, self._faults)
            place = SourcePartition(answer.topic, answer.partition)
            self.positions[place] = self._position(place, answer, topic_ids[place.topic])
        self._assigned = True
        consumer.assign([TopicPartition(*place, position.next_offset) for place, position in self.positions.items()])
        log.info("partitions taken over", partitions=_shown(self.positions))
        self.commit()  # adds the topic's id to positions that were committed without it

    def _position(self, place: SourcePartition, answer: TopicPartition, topic_id: str) -> SourcePosition:
        """Where to continue; raises SourceUnreadable when the commit belongs to a topic with another id."""
        if answer.offset < 0:
            return SourcePosition(self._first_offset(place), topic_id)
        position = SourcePosition.from_commit(answer.offset, answer.metadata or "")
        if not position.topic_id:
            self._require_held(place, position.next_offset)
            log.warning("offset without a topic id taken over", partition=_shown({place: position}), topic_id=topic_id)
            position.topic_id, position.uncommitted = topic_id, True
        self._require_same(place, position, topic_id)
        return position

    def _require_held(self, place: SourcePartition, offset: int) -> None:
        low, high = self._watermarks(*place)
        if not low <= offset <= high:
            raise SourceUnreadable(
                f"{place.topic}[{place.partition}] holds offsets {low} to {high}, but the next one to read is {offset}",
                fix=self._reset(place.topic),
            )

    def _topic_id(self, topic: str) -> str:
        """The topic's id. Raises TopicMissing for a topic that is gone; it is not one of Trimtab's own."""
        try:
            return self._identities.of(topic)
        except TopicMissing as fault:
            raise TopicMissing(fault.what, fix=CORRECT_TOPIC) from fault

    def _require_same_topics(self, topics: set[str]) -> None:
        """Raises SourceUnreadable when a topic was created again, so that the positions in it mean nothing."""
        self._compared_at = self._clock()
        for topic in topics:
            topic_id = self._topic_id(topic)
            for place, position in list(self.positions.items()):
                if place.topic == topic:
                    self._require_same(place, position, topic_id)

    def _require_same(self, place: SourcePartition, position: SourcePosition, topic_id: str) -> None:
        if position.topic_id != topic_id:
            for held in [other for other in self.positions if other.topic == place.topic]:
                del self.positions[held]  # they must not be committed: the new topic's offsets count from 0
            raise SourceUnreadable(
                f"{place.topic}[{place.partition}]: {recreated(place.topic, position.topic_id, topic_id)}",
                fix=self._reset(place.topic),
            )

    def _reset(self, topic: str) -> str:
        """How to start over in a topic whose committed offsets no longer mean anything."""
        return (
            "to bridge what the topic holds now, stop every bridge and run kafka-consumer-groups --reset-offsets "
            f"--to-earliest --execute --topic {topic} --group {self._settings.group}"
        )

    def _first_offset(self, place: SourcePartition) -> int:
        low, high = self._watermarks(*place)
        if self._settings.since is None:
            return low
        asked = [TopicPartition(*place, self._settings.since)]
        attempt = Attempt("Read", "topic", place.topic)
        found = self._ask(attempt, lambda: self._consumer.offsets_for_times(asked, timeout=ANSWER_SECONDS))[0]
        return int(found.offset) if found.offset >= 0 else high

    def _watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        asked = TopicPartition(topic, partition)
        attempt = Attempt("Describe", "topic", topic)
        low, high = self._ask(attempt, lambda: self._consumer.get_watermark_offsets(asked, timeout=ANSWER_SECONDS))
        return int(low), int(high)

    def _give_up(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self.commit()
        self._lose(_, partitions)

    def _lose(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        for partition in partitions:
            place = SourcePartition(partition.topic, partition.partition)
            self.positions.pop(place, None)
            self._at_end.discard(place)

    def _record(self, message: Message) -> LogRecord | None:
        """The record in a message that holds one."""
        fault = message.error()
        if fault is not None:
            self._judge(fault, SourcePartition(message.topic() or "", message.partition() or 0))
            return None
        return consumed_record(message)

    def _judge(self, fault: KafkaError, place: SourcePartition) -> None:
        if fault.code() == KafkaError._PARTITION_EOF:
            self._at_end.add(place)
        elif fault.code() in POSITION_GONE:
            raise SourceUnreadable(
                f"{place.topic}[{place.partition}] no longer holds the next record to read: {fault.str()}",
                fix=f"raise the topic's retention; {self._reset(place.topic)}",
            )
        elif fault.code() in AWAY or fault.retriable():
            log.warning("source broker does not answer", reason=fault.str())
        elif fault.code() in RIGHTS:
            raise explained(fault, self._client_config, Attempt("Read", "topic", place.topic), self._faults)
        else:
            raise SourceUnreadable(
                f"{place.topic}[{place.partition}] cannot be read: {fault.str()}",
                fix="repair the topic, then restart the bridge",
            )

    def _is_due(self, record: LogRecord) -> bool:
        position = self.positions.get(SourcePartition(record.topic, record.partition))
        return position is not None and record.offset >= position.next_offset

    def _ask(self, attempt: Attempt, ask: Callable[[], Answer]) -> Answer:
        with asking(self._client_config, attempt, self._faults):
            return ask()


def _shown(places: Mapping[SourcePartition, SourcePosition]) -> str:
    return ",".join(f"{place.topic}[{place.partition}]@{at.next_offset}" for place, at in places.items())
