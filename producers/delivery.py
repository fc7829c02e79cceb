"""Events to Kafka: never wait, never raise, never lose count.

An event handed in ends in exactly one fate: acknowledged by the broker, spooled on disk to be sent again, or
dropped.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from functools import partial

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from monitoring.metrics import ProducerMetrics
from producers.careful_log import tell
from producers.delivery_ledger import DeliveryCounts, DeliveryLedger
from producers.delivery_spool import DeliverySpool
from producers.outgoing_event import EventSender, OutgoingEvent
from producers.resend_round import ResendRound

__all__ = ["EventSender", "KafkaDelivery", "OutgoingEvent"]

DeliveryReport = Callable[[KafkaError | None, Message], None]
ClientSetting = str | int | float | bool

ANY_PARTITION = -1
RESEND_BATCH = 500
RETRY_SECONDS = 2.0
DISK_RETRY_SECONDS = 1.0
# A full queue has a hundred thousand reports to serve, each with a write to the spool: seconds on a slow disk.
PURGE_ROUNDS = 30
# No retry mends these: the broker looked at the event itself and refused it.
PERMANENT = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_MSG,
    }
)
DEFAULTS: dict[str, ClientSetting] = {
    "linger.ms": 5,
    "delivery.timeout.ms": 10_000,
    "queue.buffering.max.messages": 100_000,
    "queue.buffering.max.kbytes": 262_144,
}
REQUIRED: dict[str, ClientSetting] = {"enable.idempotence": True, "partitioner": "murmur2_random"}
log = structlog.get_logger(__name__)


class KafkaDelivery:
    """An `EventSender` on confluent-kafka's idempotent producer.

    `client_config` holds librdkafka settings (at least `bootstrap.servers`); `enable.idempotence` and the
    partitioner are set here. What the broker does not acknowledge within `delivery.timeout.ms`, and what does
    not fit into the client's queue, goes to the spool and is sent again from there once the broker answers. A
    resent event may be in the log twice, byte for byte; the join counts the second copy as duplicate. Without
    a spool, or beyond its bound, undelivered events are dropped.
    """

    def __init__(
        self,
        client_config: Mapping[str, ClientSetting],
        *,
        metrics: ProducerMetrics | None = None,
        spool: DeliverySpool | None = None,
        retry_s: float = RETRY_SECONDS,
    ) -> None:
        self._config = {**DEFAULTS, **client_config, **REQUIRED}
        self._ledger = DeliveryLedger(metrics)
        self._spool = spool
        self._resend = ResendRound(retry_s)
        self._gate = threading.Lock()
        self._broken = threading.Event()
        self._closing = threading.Event()
        self._producer = self._connect()
        self._thread = threading.Thread(target=self._serve, name="trimtab-delivery", daemon=True)
        self._thread.start()

    def __enter__(self) -> KafkaDelivery:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def send(self, event: OutgoingEvent) -> None:
        """Queues the event in the client; see the class for its fates. After `close` it is dropped."""
        self._ledger.hand_in(event.record)
        with self._gate:
            closed = self._closing.is_set()
            fault = None if closed else self._produce(event, partial(self._delivered, event))
        if closed:
            self._settle_undelivered(event)
        elif fault is not None:
            self._settle_fault(event, fault)

    def reject(self, record: str) -> None:
        """Counts an event that could not be made into bytes as handed in and dropped."""
        self._ledger.hand_in(record)
        self._ledger.settle(record, "dropped")

    def counts(self) -> DeliveryCounts:
        """The fates so far."""
        return self._ledger.counts()

    def flush(self, timeout_s: float) -> DeliveryCounts:
        """Waits at most `timeout_s` for the client's queue (not for the spool)."""
        self._producer.flush(timeout_s)
        return self.counts()

    def close(self, timeout_s: float = 5.0) -> DeliveryCounts:
        """Flushes for `timeout_s`, spools what is open and ends the thread; `in_flight` is 0 afterwards."""
        with self._gate:
            first = not self._closing.is_set()
            self._closing.set()
        if first:
            self._thread.join()
            self._producer.flush(timeout_s)
            _purge(self._producer)
            if self._spool is not None:
                self._close_spool(self._spool)
        return self.counts()

    def _close_spool(self, spool: DeliverySpool) -> None:
        try:
            self._end_round(spool)
        except OSError as fault:  # what was resent stays on disk and will be sent once more
            tell(log.error, "spool cannot be brought up to date", fault=str(fault))
        spool.close()

    def _connect(self) -> Producer:
        return Producer(self._config, logger=logging.getLogger("trimtab.producers"))

    def _produce(self, event: OutgoingEvent, on_delivery: DeliveryReport) -> KafkaError | None:
        """Queues in the client; returns the error when the client refuses."""
        partition = ANY_PARTITION if event.partition is None else event.partition
        try:
            self._producer.produce(event.topic, event.value, event.key, partition, on_delivery)
        except BufferError:
            return KafkaError(KafkaError._QUEUE_FULL)
        except KafkaException as refused:
            fault: KafkaError = refused.args[0]
            return fault
        return None

    def _delivered(self, event: OutgoingEvent, fault: KafkaError | None, _: Message) -> None:
        if fault is None:
            self._ledger.settle(event.record, "acknowledged")
        else:
            self._settle_fault(event, fault)

    def _settle_fault(self, event: OutgoingEvent, fault: KafkaError) -> None:
        if fault.fatal():
            self._broken.set()
        if fault.code() in PERMANENT:
            self._ledger.settle(event.record, "dropped")
            tell(log.error, "event dropped", record=event.record, topic=event.topic, fault=fault.str())
        else:
            self._settle_undelivered(event)

    def _settle_undelivered(self, event: OutgoingEvent) -> None:
        spooled = self._spool is not None and self._spool.append(event)
        self._ledger.settle(event.record, "spooled" if spooled else "dropped")

    def _serve(self) -> None:
        """The background thread: delivery reports, resending, and a new client after a fatal error."""
        while not self._closing.is_set():
            self._producer.poll(0.05)
            if self._broken.is_set():
                self._renew()
            if self._spool is not None:
                self._resend_while_disk_lasts(self._spool)

    def _renew(self) -> None:
        """Replaces a client that librdkafka declared dead; what it still held goes to the spool."""
        dead, self._producer = self._producer, self._connect()
        self._broken.clear()
        _purge(dead)

    def _resend_while_disk_lasts(self, spool: DeliverySpool) -> None:
        try:
            self._resend_from(spool)
        except OSError as fault:
            tell(log.error, "spool cannot be read", fault=str(fault))
            self._closing.wait(DISK_RETRY_SECONDS)

    def _resend_from(self, spool: DeliverySpool) -> None:
        self._end_round(spool)
        if not self._resend.due() or not spool.waiting:
            return
        batch = spool.checkout(RESEND_BATCH)
        self._resend.begin(len(batch))
        for event in batch:
            fault = self._produce(event, partial(self._redelivered, event))
            if fault is not None:
                self._settle_resent(event, fault)

    def _end_round(self, spool: DeliverySpool) -> None:
        if self._resend.finished():
            spool.finish(*self._resend.end())

    def _redelivered(self, event: OutgoingEvent, fault: KafkaError | None, _: Message) -> None:
        self._settle_resent(event, fault)

    def _settle_resent(self, event: OutgoingEvent, fault: KafkaError | None) -> None:
        if fault is None:
            self._ledger.resent(event.record)
        elif fault.code() in PERMANENT:
            tell(log.error, "spooled event refused", record=event.record, topic=event.topic, fault=fault.str())
            fault = None
        elif fault.fatal():
            self._broken.set()
        self._resend.settle(event, delivered=fault is None)


def _purge(producer: Producer) -> None:
    """Gives up on what the client still holds, and serves the delivery reports that say so."""
    producer.purge()
    for _ in range(PURGE_ROUNDS):
        if not producer.flush(1.0):
            return
