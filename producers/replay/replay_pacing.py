"""Paces a replay to the join, so that a small broker never deletes records before the join has read them.

The join commits the offset where a restart must begin, which is a window behind by design. The metadata of that commit
says how far it has processed (`S=<offset>`), and the pace follows this offset.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from confluent_kafka import Consumer, TopicPartition

from event_schemas.errors import TrimtabError
from producers.topics.group_coordinator import ask_coordinator
from producers.topics.kafka_connection import Attempt, ConnectionFaults, asking, creating_client
from producers.topics.topic_admin import asking_as_group

PROCESSED = re.compile(r"(?:^|;)S=(\d+)(?:;|$)")


class ReplayStalled(TrimtabError):
    """The reader has not advanced for too long."""


class Pacer(Protocol):
    """Slows a replay down."""

    def wait(self, sent_bytes: int, sent_events: int) -> None:
        """Called between chunks with the totals so far; blocks until more may be sent."""


class ReaderLag(Protocol):
    """How far a reader is behind."""

    def unread(self) -> int:
        """Records of the most loaded partition that the reader has not processed."""


class LagPacer:
    """Waits while the most loaded partition holds more than `max_bytes` unread, estimated by the events' mean size.

    Raises ReplayStalled when the reader does not advance for `stall_s` seconds.
    """

    def __init__(
        self,
        lag: ReaderLag,
        max_bytes: int,
        stall_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._lag = lag
        self._max_bytes = max_bytes
        self._stall_s = stall_s
        self._clock = clock
        self._sleep = sleep
        self._checked_at = 0

    def wait(self, sent_bytes: int, sent_events: int) -> None:
        """Returns when the unread bytes are within the bound; asks the broker only when they could exceed it."""
        if sent_bytes - self._checked_at < self._max_bytes // 4:
            return
        mean = sent_bytes / max(sent_events, 1)
        unread = self._lag.unread()
        moved_at = self._clock()
        while unread * mean > self._max_bytes:
            self._sleep(0.1)
            before, unread = unread, self._lag.unread()
            if unread < before:
                moved_at = self._clock()
            elif self._clock() - moved_at > self._stall_s:
                raise ReplayStalled(
                    f"the join has not advanced for {self._stall_s:g} s with {unread} records unread in one partition",
                    fix="start `trimtab join`, or replay with --max-lag 0 if the broker keeps the whole log",
                )
        self._checked_at = sent_bytes


class KafkaReaderLag:
    """The lag of a consumer group on one topic, read from its commits. Call `close` after use."""

    def __init__(
        self, client_config: Mapping[str, str], group: str, topic: str, partitions: int, answer_s: float = 10.0
    ) -> None:
        self._answer_s = answer_s
        self._client_config = client_config
        self._faults = ConnectionFaults()
        self._settings: dict[str, Any] = {
            **client_config,
            "group.id": group,
            "enable.auto.commit": False,
            "error_cb": self._faults,
        }
        self._attempt = Attempt("Describe", "group", group)
        with creating_client():
            self._consumer = Consumer(self._settings, logger=logging.getLogger("trimtab.producers"))
        self._partitions = [TopicPartition(topic, partition) for partition in range(partitions)]

    def unread(self) -> int:
        """See ReaderLag; raises RightMissing, or ComponentUnreachable when the broker does not answer in `answer_s`."""
        with (
            asking_as_group(self._client_config, self._attempt.name),
            asking(self._settings, self._attempt, self._faults, lambda: self._consumer.poll(0)),
        ):
            asked = partial(self._consumer.committed, self._partitions, timeout=self._answer_s)
            committed = ask_coordinator(asked, self._answer_s)
            return max((self._behind(position) for position in committed), default=0)

    def close(self) -> None:
        """Ends the client."""
        self._consumer.close()

    def _behind(self, position: TopicPartition) -> int:
        low, high = self._consumer.get_watermark_offsets(position, timeout=self._answer_s)
        return int(high) - max(processed_offset(position.offset, position.metadata), int(low))


def processed_offset(committed: int, metadata: str | None) -> int:
    """The next offset a group will process: `S=` of its commit metadata, else the committed offset (−1: none)."""
    found = PROCESSED.search(metadata or "")
    return int(found.group(1)) if found else max(committed, -1)
