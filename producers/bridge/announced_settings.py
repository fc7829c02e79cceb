"""Reads the topic `explorations` for log rates that nodes have raised: before every round, up to its current end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from event_schemas.codec import Codec
from event_schemas.errors import ComponentUnreachable, MalformedRecord, UnknownSchema
from event_schemas.exploration import ExplorationSettings
from event_schemas.log_record import LogRecord
from event_schemas.records import EXPLORATION
from event_schemas.shown_text import cut
from producers.bridge.raised_log_rates import RaisedLogRates
from producers.topics.consumed_record import consumed_record
from producers.topics.kafka_connection import Attempt, ConnectionFaults, asking, creating_client, explained
from producers.topics.kafka_refusals import RIGHTS, TOPIC_ABSENT

ANSWER_SECONDS = 10.0
LOOK_SECONDS = 1.0
POLL_SECONDS = 0.2
AGAIN_SECONDS = 0.1
SILENCE_SECONDS = 10.0
BATCH = 1_000
GROUP = "trimtab-bridge-reads-by-assignment"
NAMED_RECORDS = 10
"""How many unreadable records are named in the log."""
LONGEST_FAULT = 100

log = structlog.get_logger(__name__)


class AnnouncedSettings:
    """Keeps `RaisedLogRates` up to date; `clock` tells seconds. It reads by assignment, so it needs no group right.

    What it knows is what the topic holds, so a restart loses nothing. While the topic does not exist, nothing is known:
    the rate of the experiment file holds. A record that cannot be read is left out, counted and named in the log.
    """

    def __init__(
        self,
        client_config: Mapping[str, str],
        topic: str,
        codec: Codec,
        raised: RaisedLogRates,
        clock: Callable[[], float] = time.monotonic,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._topic = topic
        self._codec = codec
        self._raised = raised
        self._clock = clock
        self._answer_seconds = answer_seconds
        self._client_config = {**client_config, "group.id": GROUP}
        self._faults = ConnectionFaults()
        settings: dict[str, Any] = {
            **self._client_config,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "error_cb": self._faults,
        }
        with creating_client():
            self._reader = Consumer(settings, logger=logging.getLogger("trimtab.producers"))
            # It fetches nothing. On a connection that fetches, each question waits behind a fetch for half a second.
            self._asker = Consumer(settings, logger=logging.getLogger("trimtab.producers"))
        self._next: dict[int, int] = {}
        self._looked_at = -LOOK_SECONDS
        self._absent = False
        self.left_out = 0
        """Records that could not be read."""

    def catch_up(self) -> None:
        """Reads what was written since the last reading, unless that was less than LOOK_SECONDS ago.

        Raises ComponentUnreachable and RightMissing.
        """
        now = self._clock()
        if 0 <= now - self._looked_at < LOOK_SECONDS:
            return
        self._read_to(self._ends())
        self._looked_at = now

    def close(self) -> None:
        """Closes the connections."""
        self._asker.close()
        self._reader.close()

    @property
    def _attempt(self) -> Attempt:
        return Attempt("Read", "topic", self._topic)

    def _ends(self) -> dict[int, int]:
        """For each partition the offset that the next record will get; empty if there is no such topic.

        Asks again for a while: a partition whose leader moves has none for a moment.
        """
        deadline = self._clock() + self._answer_seconds
        while True:
            try:
                return {partition: self._end(partition) for partition in self._partitions()}
            except KafkaException as fault:
                if fault.args[0].code() in RIGHTS or self._clock() >= deadline or self._faults.is_refused:
                    raise explained(fault.args[0], self._client_config, self._attempt, self._faults) from fault
            time.sleep(AGAIN_SECONDS)

    def _partitions(self) -> list[int]:
        found = self._asker.list_topics(self._topic, self._answer_seconds).topics[self._topic]
        if found.error is not None and found.error.code() not in TOPIC_ABSENT:
            raise KafkaException(found.error)
        if not found.partitions and not self._absent:
            log.warning(
                "log rates that nodes raise are not known",
                what=f"topic {self._topic} does not exist",
                fix="create the topics with `trimtab topics create`",
            )
        self._absent = not found.partitions
        return sorted(found.partitions)

    def _end(self, partition: int) -> int:
        asked = TopicPartition(self._topic, partition)
        return int(self._asker.get_watermark_offsets(asked, timeout=self._answer_seconds)[1])

    def _read_to(self, ends: Mapping[int, int]) -> None:
        if ends.keys() != self._next.keys() or any(self._next[partition] > end for partition, end in ends.items()):
            # The first look, or the topic was created again.
            self._reader.assign([TopicPartition(self._topic, partition, OFFSET_BEGINNING) for partition in ends])
            self._next = dict.fromkeys(ends, 0)
        progress = self._clock()
        while any(self._next[partition] < end for partition, end in ends.items()):
            with asking(self._client_config, self._attempt, self._faults):
                messages = self._reader.consume(BATCH, POLL_SECONDS)
            if sum(self._take(message) for message in messages):
                progress = self._clock()
            elif self._clock() - progress > SILENCE_SECONDS:
                raise ComponentUnreachable(
                    f"topic {self._topic}: nothing came for {SILENCE_SECONDS:g} s although it holds more",
                    fix="check the broker; the bridge continues from its last commit when it is started again",
                )

    def _take(self, message: Message) -> bool:
        """Takes a record, or the end of a partition, in; False for a passing fault. Raises RightMissing."""
        fault, partition = message.error(), message.partition()
        if fault is None:
            record = consumed_record(message)
            self._next[record.partition] = record.offset + 1
            self._note(record)
            return True
        if fault.code() == KafkaError._PARTITION_EOF:  # compaction may have taken the last offsets away
            offset = message.offset()
            assert partition is not None and offset is not None
            self._next[partition] = max(self._next[partition], offset)
            return True
        if fault.code() in RIGHTS:
            raise explained(fault, self._client_config, self._attempt, self._faults)
        log.warning("broker does not answer", topic=self._topic, reason=fault.str())
        return False

    def _note(self, record: LogRecord) -> None:
        if record.value is None:  # a tombstone
            return
        try:
            decoded = self._codec.decode(record.value)
            if decoded.name != EXPLORATION:
                raise MalformedRecord(f"a {decoded.name}, not an Exploration", fix="write only Explorations there")
            settings = ExplorationSettings.parse(decoded.record["digest"], decoded.record["settings"])
        except (MalformedRecord, UnknownSchema) as fault:
            self.left_out += 1
            if self.left_out <= NAMED_RECORDS:
                place = f"{record.topic}[{record.partition}] offset {record.offset}"
                log.warning("announced settings left out", record=place, what=cut(fault.what, LONGEST_FAULT))
            return
        announced = record.append_time if record.append_time > 0 else decoded.record["event_time"]
        self._raised.note(settings, announced)
