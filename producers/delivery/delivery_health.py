"""Whether events reach Kafka, as far as Kafka lets them.

A broker that is away is no fault: events wait in the spool, and everything goes on. A broker that refuses is one, for
it will refuse until a person does something.
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
from producers.topics.kafka_connection import Attempt, right_missing
from producers.topics.kafka_refusals import RIGHTS, needs_a_person

FORGET_SECONDS = 30.0
"""A refusal that has not come again for so long may be over: nothing was sent since that would tell."""
ANY_TOPIC = ""
log = structlog.get_logger(__name__)


class DeliveryHealth:
    """Why nothing is delivered, if so; mirrored into `trimtab_producer_delivering`.

    May be told from any thread: every change is one step. `clock` counts seconds. `client_config` is the client's, in
    librdkafka's names; it says who may not write.
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
        """What Kafka refuses and why; None while it takes events, or does not answer."""
        if self._dead is not None:
            return self._dead
        refusals = list(self._refusals.values())
        return refusals[0][0] if refusals else None

    def died(self, reason: str) -> None:
        """The client cannot go on."""
        self._dead = reason
        self.tell()

    def works(self) -> None:
        """A new client goes on. That says nothing of the topics that were refused: it may write to another one only."""
        self._dead = None
        self._refusals.pop(ANY_TOPIC, None)
        self.tell()

    def note_refused(self, topic: str, fault: KafkaError) -> bool:
        """The broker did not take an event of `topic`, or (`ANY_TOPIC`) the client; whether a person is needed."""
        if not needs_a_person(fault):
            return False
        self._refusals[topic] = (self.in_words(topic, fault), self._clock())
        self.tell()
        return True

    def in_words(self, topic: str, fault: KafkaError) -> str:
        """What was refused (`ANY_TOPIC`: everything), to whom, and why."""
        if fault.code() in RIGHTS:
            attempt = Attempt("Write", "topic", topic) if topic else Attempt("Write", "any topic", "")
            return f"{right_missing(self._client_config, attempt).what}: {fault.str()}"
        return f"{topic or 'Kafka'}: {fault.str()}"

    def note_accepted(self, topic: str) -> None:
        """The broker took an event."""
        if self._refusals:
            self._refusals.pop(topic, None)
            self._refusals.pop(ANY_TOPIC, None)
            self.tell()

    def tell(self) -> None:
        """Forgets refusals that have not come again, and tells metrics and log how things stand."""
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
