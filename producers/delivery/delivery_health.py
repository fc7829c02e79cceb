"""Whether Kafka refuses this process's events.

A broker that does not answer is no fault: events wait in the spool, and everything continues. A broker that refuses
events is a fault, because it will refuse them until a person fixes something.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import structlog
from confluent_kafka import KafkaError

from monitoring.metrics import ProducerMetrics
from producers.delivery.log_safely import log_safely
from producers.topics.kafka_connection import CREATE_TOPICS, Attempt, right_missing
from producers.topics.kafka_refusals import RIGHTS, TOPIC_ABSENT, needs_a_person

FORGET_SECONDS = 30.0
"""A refusal that has not recurred for this many seconds is forgotten: it may be over, with no event sent to show it."""
ANY_TOPIC = ""
log = structlog.get_logger(__name__)


class DeliveryHealth:
    """The reason why nothing is delivered, if there is one; mirrored into `trimtab_producer_delivering`.

    Thread-safe: every change is one step. `clock` is in seconds. `client_config` is the client's, in librdkafka's
    names; it gives the user to name in a fault.
    """

    def __init__(
        self,
        metrics: ProducerMetrics | None = None,
        clock: Callable[[], float] = time.monotonic,
        client_config: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._client_config = client_config
        self._dead: str | None = None
        self._refusals: dict[str, tuple[str, float]] = {}
        self._told: str | None = None

    @property
    def fault(self) -> str | None:
        """What Kafka refuses and why; None while it accepts events or does not answer."""
        if self._dead is not None:
            return self._dead
        refusals = list(self._refusals.values())
        return refusals[0][0] if refusals else None

    def died(self, reason: str) -> None:
        """Notes that the client cannot continue."""
        self._dead = reason
        self.tell()

    def works(self) -> None:
        """Notes that a new client works. Refused topics stay refused: the client may only work for another topic."""
        self._dead = None
        self._refusals.pop(ANY_TOPIC, None)
        self.tell()

    def note_refused(self, topic: str, fault: KafkaError) -> bool:
        """Notes that the broker refused an event of `topic`, or the client itself (`ANY_TOPIC`).

        Returns whether a person has to fix it.
        """
        if not needs_a_person(fault):
            return False
        self._refusals[topic] = (self.in_words(topic, fault), self._clock())
        self.tell()
        return True

    def in_words(self, topic: str, fault: KafkaError) -> str:
        """Says which topic was refused (`ANY_TOPIC`: all of them), to which user, and why."""
        if fault.code() in RIGHTS:
            attempt = Attempt("Write", "topic", topic) if topic else Attempt("Write", "any topic", "")
            return f"{right_missing(self._client_config, attempt).what}: {fault.str()}"
        if topic and fault.code() in TOPIC_ABSENT:
            return f"topic {topic} does not exist: {CREATE_TOPICS}"
        return f"{topic or 'Kafka'}: {fault.str()}"

    def note_accepted(self, topic: str) -> None:
        """Notes that the broker accepted an event of `topic`."""
        if self._refusals:
            self._refusals.pop(topic, None)
            self._refusals.pop(ANY_TOPIC, None)
            self.tell()

    def tell(self) -> None:
        """Forgets refusals that have not recurred, sets the metric, and logs when the state has changed."""
        for topic, (_, at) in list(self._refusals.items()):
            if self._clock() - at > FORGET_SECONDS:
                self._refusals.pop(topic, None)
        fault = self.fault
        if self._metrics is not None:
            self._metrics.delivering.set(fault is None)
        before, self._told = self._told, fault
        if fault is None and before is not None:
            log_safely(log.info, "events are delivered again")
        elif fault is not None and before is None:
            log_safely(log.error, "Kafka refuses events", fault=fault)
