"""Sends events to Kafka without waiting, raising or miscounting.

Every event handed in has exactly one fate: acknowledged by the broker, spooled on disk to be sent again, or dropped.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from functools import partial

import structlog
from confluent_kafka import KafkaError, Message

from event_schemas.errors import TrimtabError
from event_schemas.process_fork import renew_in_children
from monitoring.metrics import ProducerMetrics
from producers.delivery.client_renewal import ClientRenewal
from producers.delivery.delivery_health import ANY_TOPIC, DeliveryHealth
from producers.delivery.delivery_ledger import DeliveryCounts, DeliveryLedger
from producers.delivery.delivery_spool import DeliverySpool
from producers.delivery.exit_hook import close_sender_at_exit
from producers.delivery.kafka_client import REQUIRED, ClientSetting, KafkaClient
from producers.delivery.log_safely import log_safely
from producers.delivery.outage_notice import OutageNotice
from producers.delivery.outgoing_event import EventSender, OutgoingEvent
from producers.delivery.resending import DeliveryParts, SpoolResending
from producers.topics.kafka_refusals import EVENT_REFUSED

__all__ = ["REQUIRED", "ClientSetting", "EventSender", "KafkaDelivery", "OutgoingEvent"]

RETRY_SECONDS = 2.0
DISK_RETRY_SECONDS = 1.0
JOIN_SECONDS = 10.0
DEFAULTS: dict[str, ClientSetting] = {
    "linger.ms": 5,
    "delivery.timeout.ms": 10_000,
    "queue.buffering.max.messages": 100_000,
    "queue.buffering.max.kbytes": 262_144,
}
log = structlog.get_logger(__name__)


class KafkaDelivery:
    """An `EventSender` on confluent-kafka's idempotent producer.

    `client_config` holds librdkafka settings (at least `bootstrap.servers`); `enable.idempotence` and the
    partitioner are set here. Events that the broker does not acknowledge within `delivery.timeout.ms`, or that do
    not fit into the client's queue, go to the spool and are sent again from there once the broker answers. A
    resent event may be in the log twice, byte for byte; the join counts the second copy as a duplicate. Without
    a spool, or when it is full, undelivered events are dropped.

    The spool may hold events for topics that get no new events from this process. If Kafka refuses those for an hour,
    they are set aside.

    A client that dies (no right to write, or fenced) is replaced until one works; meanwhile `fault` says why nothing
    is delivered. A forked child starts its own client and spool at its first event. Raises SettingError for settings
    that the client rejects.
    """

    def __init__(
        self,
        client_config: Mapping[str, ClientSetting],
        *,
        metrics: ProducerMetrics | None = None,
        spool: DeliverySpool | None = None,
        retry_s: float = RETRY_SECONDS,
    ) -> None:
        self._config = {**DEFAULTS, **client_config}
        self._metrics = metrics
        self._ledger = DeliveryLedger(metrics)
        self._spool = spool
        self._retry_s = retry_s
        self._closed = False
        self._own: set[str] = set()
        if spool is not None:
            spool.announce(str(self._config.get("bootstrap.servers", "")))
        self._begin()
        self._clients.open()
        self._start()
        renew_in_children(self)
        close_sender_at_exit(self)

    def __enter__(self) -> KafkaDelivery:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def fault(self) -> str | None:
        """Why Kafka accepts no events from this process; None while it does, and while no broker answers."""
        return self._health.fault

    @property
    def spool_fault(self) -> str | None:
        """Why Kafka refuses events in the spool for topics that this process does not write to; see SpoolTeller."""
        return None if self._resending is None else self._resending.fault

    def send(self, event: OutgoingEvent) -> None:
        """Queues the event in the client; see the class for its fates. After `close`, events are dropped."""
        self._ledger.hand_in(event.record)
        if event.essential:
            self._own.add(event.topic)
        if self._asleep:
            self._wake()
        fault = self._clients.produce(event, partial(self._delivered, event))
        if fault is not None:
            self._settle_fault(event, fault)

    def expect(self, topic: str) -> None:
        """See TopicLearner."""
        self._own.add(topic)

    def reject(self, record: str) -> None:
        """Counts an event that could not be encoded as handed in and dropped."""
        self._ledger.hand_in(record)
        self._ledger.settle(record, "dropped")

    def counts(self) -> DeliveryCounts:
        """The fates so far."""
        return self._ledger.counts()

    def flush(self, timeout_s: float) -> DeliveryCounts:
        """Waits at most `timeout_s` until every event has its fate; does not wait for the spool to be sent."""
        deadline = time.monotonic() + timeout_s
        while (counts := self.counts()).in_flight and (left := deadline - time.monotonic()) > 0:
            if (client := self._clients.current) is None:
                time.sleep(min(left, 0.02))
            elif not client.flush(min(left, 0.1)):
                time.sleep(0.002)  # open events are just entering the client, or leaving a dead one
        return counts

    def close(self, timeout_s: float = 5.0) -> DeliveryCounts:
        """Flushes for `timeout_s`, spools the events still open and ends the thread; `in_flight` is 0 afterwards."""
        with self._starting:
            first, self._closed = not self._closed, True
            self._closing.set()
        if first:
            if self._thread is not None:
                self._thread.join(JOIN_SECONDS)
            self.flush(timeout_s)
            self._clients.close()
            self._ledger.give_up()
            if self._resending is not None:
                self._resending.close()
        return self.counts()

    def after_fork(self) -> None:
        """Leaves the client, the thread and the events in flight to the parent."""
        self._begin()
        self._asleep = not self._closed

    def _begin(self) -> None:
        """Sets the state of a delivery that has not started in this process."""
        self._asleep = False
        self._starting = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._health = DeliveryHealth(self._metrics, client_config=self._config)
        self._outage = OutageNotice(self._config)
        self._clients = ClientRenewal(self._connect, self._health)
        parts = DeliveryParts(self._clients, self._ledger, self._health, self._taken, self._own)
        spool = self._spool
        self._resending = None if spool is None else SpoolResending(spool, parts, self._retry_s, self._metrics)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._serve, name="trimtab-delivery", daemon=True)
        self._thread.start()

    def _wake(self) -> None:
        """Starts the client and the thread of a forked child, once."""
        with self._starting:
            if not self._asleep or self._closed:
                return
            try:
                self._clients.open()
            except TrimtabError as refused:
                self._clients.retire(refused.what)
            try:
                self._start()
            except RuntimeError as refused:  # no more threads: events go to the spool
                log_safely(log.error, "delivery cannot start", fault=str(refused))
            self._asleep = False
        close_sender_at_exit(self)

    def _connect(self, look_seconds: float) -> KafkaClient:
        return KafkaClient(self._config, on_error=self._client_error, look_seconds=look_seconds)

    def _client_error(self, fault: KafkaError) -> None:
        self._outage.note(fault)
        self._health.note_refused(ANY_TOPIC, fault)

    def _delivered(self, event: OutgoingEvent, fault: KafkaError | None, _: Message) -> None:
        if fault is None:
            self._ledger.settle(event.record, "acknowledged")
            self._taken(event)
            if self._resending is not None:
                self._resending.hear()
        else:
            self._settle_fault(event, fault)

    def _taken(self, event: OutgoingEvent) -> None:
        self._health.note_accepted(event.topic)
        self._outage.works()

    def _settle_fault(self, event: OutgoingEvent, fault: KafkaError) -> None:
        if fault.code() in EVENT_REFUSED:
            self._ledger.settle(event.record, "dropped")
            log_safely(log.error, "event dropped", record=event.record, topic=event.topic, fault=fault.str())
        else:
            if event.essential:
                self._health.note_refused(event.topic, fault)
            self._settle_undelivered(event)

    def _settle_undelivered(self, event: OutgoingEvent) -> None:
        spooled = self._spool is not None and self._spool.append(event)
        self._ledger.settle(event.record, "spooled" if spooled else "dropped")

    def _serve(self) -> None:
        """The background thread: serves delivery reports, resends the spool and replaces a dead client."""
        closing = self._closing
        while not closing.is_set():
            try:
                self._turn()
            except Exception as fault:  # whatever went wrong, later events must still be delivered
                log_safely(log.error, "delivery hit an unexpected error and continues", fault=repr(fault))
                closing.wait(DISK_RETRY_SECONDS)

    def _turn(self) -> None:
        client = self._clients.current
        if client is None:
            self._closing.wait(0.05)
        else:
            client.poll(0.05)
        self._clients.tend()
        self._health.tell()
        self._outage.look()
        if self._resending is not None:
            self._look_after(self._resending)

    def _look_after(self, resending: SpoolResending) -> None:
        try:
            resending.turn()
        except OSError as fault:
            log_safely(log.error, "spool cannot be read", fault=str(fault))
            self._closing.wait(DISK_RETRY_SECONDS)
