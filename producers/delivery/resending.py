"""Sends the events in the spool to Kafka again.

0. First the broker is asked for its cluster's id: events for another cluster are neither sent nor adopted.
1. A batch of the oldest events goes to the client; the events stay on disk.
2. When each has its report, the events that Kafka accepted leave the spool. Events that it refused go last in line, as
   do those that timed out while the broker answered, so that they hold up no others. Events that it has refused for too
   long are set aside in `undeliverable.spool`. While the broker does not answer, nothing moves.
3. The next batch follows, after a pause if nothing was delivered.

A process that dies in between sends some events twice and loses none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

import structlog
from confluent_kafka import KafkaError, Message

from monitoring.metrics import ProducerMetrics
from producers.delivery.client_renewal import ClientRenewal
from producers.delivery.delivery_health import DeliveryHealth
from producers.delivery.delivery_ledger import DeliveryLedger
from producers.delivery.delivery_spool import DeliverySpool
from producers.delivery.log_safely import log_safely
from producers.delivery.outgoing_event import OutgoingEvent
from producers.delivery.resend_round import ResendOutcome, ResendRound
from producers.delivery.spool_refusals import SpoolRefusals
from producers.topics.kafka_refusals import EVENT_REFUSED, needs_a_person

RESEND_BATCH = 500
ADOPT_SECONDS = 30.0
ANSWER_SECONDS = 1.0
TIMED_OUT = frozenset({KafkaError._MSG_TIMED_OUT, KafkaError.REQUEST_TIMED_OUT})
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DeliveryParts:
    """What resending shares with the delivery of new events.

    `taken` is called for each event that Kafka accepted; `own` holds the topics that this process is handed events for.
    """

    clients: ClientRenewal
    ledger: DeliveryLedger
    health: DeliveryHealth
    taken: Callable[[OutgoingEvent], None]
    own: Collection[str]


class SpoolResending:
    """Empties `spool` whenever Kafka accepts events. Call `turn` and `close` from one thread at a time."""

    def __init__(
        self, spool: DeliverySpool, parts: DeliveryParts, retry_s: float, metrics: ProducerMetrics | None = None
    ) -> None:
        self._spool = spool
        self._parts = parts
        self._round = ResendRound(retry_s)
        self._refusals = SpoolRefusals(metrics)
        self._retry_s = retry_s
        self._ask_at = self._adopt_at = 0.0
        self._topic = ""

    @property
    def fault(self) -> str | None:
        """Why Kafka refuses events for topics that only the spool has events for; None while it refuses none."""
        return self._refusals.fault

    def hear(self) -> None:
        """Notes that Kafka accepted a new event. May be called from any thread."""
        self._round.hear()

    def turn(self) -> None:
        """Does the work that is due; call this often. Raises OSError when the disk fails; the next call tries again."""
        self._end_round()
        if self._spool.claimed or self._settle_in():
            self._adopt()
            self._begin_round()
        self._parts.ledger.damaged(self._spool.take_damaged())
        self._refusals.tell()

    def close(self) -> None:
        """Updates the spool with the last delivery reports, and closes it."""
        try:
            self._end_round()
        except OSError as fault:  # the resent events stay on disk and will be sent once more
            log_safely(log.error, "spool cannot be updated", fault=str(fault))
        self._parts.ledger.damaged(self._spool.take_damaged())
        self._spool.close()

    def _settle_in(self) -> bool:
        """Asks the broker for its cluster's id; returns whether it is known now."""
        client = self._parts.clients.current
        if client is None or time.monotonic() < self._ask_at:
            return False
        topic = next(iter(tuple(self._parts.own)), "")
        cluster = client.cluster(topic, ANSWER_SECONDS)
        self._ask_at = time.monotonic() + self._retry_s
        if cluster is None:
            return False
        self._spool.claim(cluster)
        return True

    def _adopt(self) -> None:
        if time.monotonic() >= self._adopt_at:
            self._adopt_at = time.monotonic() + ADOPT_SECONDS
            for adoption in self._spool.adopt():
                self._parts.ledger.adopted(adoption.events)

    def _begin_round(self) -> None:
        if self._parts.clients.current is None or not self._round.due() or self._spool.empty:
            return
        batch = self._spool.checkout(RESEND_BATCH)
        self._round.start_batch(len(batch))
        for event in batch:
            self._topic = event.topic
            fault = self._parts.clients.produce(event, partial(self._reported, event))
            if fault is not None:
                self._settle(event, fault)

    def _end_round(self) -> None:
        if not self._round.finished():
            return
        size = self._round.size
        end = self._round.end_batch(self._broker_answers)
        not_kept = self._spool.set_aside(end.aside)
        first = [*end.first, *self._spool.postpone([*end.last, *not_kept])]
        self._spool.check_in(size - len(first), first)
        for event in [] if not_kept else end.aside:
            self._parts.ledger.set_aside(event.record)

    def _broker_answers(self) -> bool:
        client = self._parts.clients.current
        return client is not None and client.cluster(self._topic, ANSWER_SECONDS) is not None

    def _reported(self, event: OutgoingEvent, fault: KafkaError | None, _: Message) -> None:
        self._settle(event, fault)

    def _settle(self, event: OutgoingEvent, fault: KafkaError | None) -> None:
        self._round.note(event, self._outcome(event, fault))

    def _outcome(self, event: OutgoingEvent, fault: KafkaError | None) -> ResendOutcome:
        if fault is None:
            self._parts.ledger.resent(event.record)
            self._refusals.note_accepted(event)
            self._parts.taken(event)
            return "delivered"
        if fault.code() in EVENT_REFUSED:
            self._parts.ledger.refused(event.record)
            log_safely(log.error, "spooled event refused", record=event.record, topic=event.topic, fault=fault.str())
            return "delivered"  # it leaves the spool
        if needs_a_person(fault):
            return self._refused(event, fault)
        return "timed_out" if fault.code() in TIMED_OUT else "undelivered"

    def _refused(self, event: OutgoingEvent, fault: KafkaError) -> ResendOutcome:
        """Notes a refusal. If this process writes to the topic, it becomes unready, and the event waits indefinitely.

        An unknown partition does not make it unready: the event's sender chose it, and the topic accepts other events.
        """
        if fault.code() != KafkaError._UNKNOWN_PARTITION and event.topic in self._parts.own:
            self._parts.health.note_refused(event.topic, fault)
            return "refused"
        return "expired" if self._refusals.note_refused(event, fault.str()) else "refused"
