"""The number of records in each topic, which the live screen shows while processes work."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaException, TopicPartition

from event_schemas.topics import EVENTS, EXAMPLES, Topic, topic_name

DEMO_PARTITIONS = 4
REFRESH_SECONDS = 0.5


class TopicCounts:
    """Record counts of the topics of some experiments; the broker is asked at most twice a second."""

    def __init__(self, bootstrap: str, prefixes: Sequence[str]) -> None:
        self._prefixes = prefixes
        self._asked_at = 0.0
        self._counts = {EVENTS.name: 0, EXAMPLES.name: 0}
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "trimtab-demo-screen", "log_level": 2})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def sentence(self) -> str:
        """The counts, such as `41,200 events → 9,876 examples`; the last known ones if the broker does not answer."""
        if time.monotonic() - self._asked_at > REFRESH_SECONDS:
            with suppress(KafkaException):
                self._counts = {topic.name: self.written(topic) for topic in (EVENTS, EXAMPLES)}
            self._asked_at = time.monotonic()
        return f"{self._counts[EVENTS.name]:,} events → {self._counts[EXAMPLES.name]:,} examples"

    def written(self, topic: Topic) -> int:
        """Records ever written to a topic, over all prefixes; raises KafkaException."""
        return sum(
            self._consumer.get_watermark_offsets(TopicPartition(topic_name(prefix, topic), partition), timeout=5)[1]
            for prefix in self._prefixes
            for partition in range(DEMO_PARTITIONS)
        )
