"""Delivery to Kafka: acknowledged, spooled or dropped, and never lost count of, whatever the broker does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from prometheus_client import CollectorRegistry

from monitoring.metrics import ProducerMetrics
from producers.delivery import ClientSetting, KafkaDelivery
from producers.delivery_ledger import DeliveryCounts
from producers.delivery_spool import DeliverySpool
from producers.outgoing_event import OutgoingEvent
from tests.components.embedded_log import embedded_broker, read_all
from tests.components.free_port import free_port
from tests.components.tcp_forwarder import TcpForwarder

IMPATIENT: dict[str, ClientSetting] = {"delivery.timeout.ms": 400, "reconnect.backoff.max.ms": 200}


def events(count: int) -> list[OutgoingEvent]:
    return [OutgoingEvent("events", f"k{n}".encode(), f"value {n}".encode(), "Request") for n in range(count)]


def hand_in(delivery: KafkaDelivery, count: int) -> None:
    for event in events(count):
        delivery.send(event)


def wait_for(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not reached in {seconds} s"
        time.sleep(0.02)


@pytest.fixture
def broker() -> Iterator[str]:
    with embedded_broker() as bootstrap:
        yield bootstrap


@pytest.fixture
def nowhere() -> dict[str, ClientSetting]:
    return {"bootstrap.servers": f"127.0.0.1:{free_port()}", **IMPATIENT}


def test_what_is_acknowledged_is_in_the_log(broker: str) -> None:
    registry = CollectorRegistry()
    with KafkaDelivery({"bootstrap.servers": broker}, metrics=ProducerMetrics(registry)) as delivery:
        hand_in(delivery, 500)
        assert delivery.flush(10) == DeliveryCounts(handed_in=500, acknowledged=500)
    assert {(m.key(), m.value()) for m in read_all(broker, "events")} == {(e.key, e.value) for e in events(500)}
    labels = {"record": "Request", "fate": "acknowledged"}
    assert registry.get_sample_value("trimtab_producer_events_total", labels) == 500


def test_without_a_broker_nothing_waits_or_raises(nowhere: dict[str, ClientSetting]) -> None:
    delivery = KafkaDelivery(nowhere)
    hand_in(delivery, 100)
    assert delivery.close(timeout_s=0.1) == DeliveryCounts(handed_in=100, dropped=100)


def test_a_spool_keeps_what_the_broker_did_not_take(nowhere: dict[str, ClientSetting], tmp_path: Path) -> None:
    delivery = KafkaDelivery(nowhere, spool=DeliverySpool(tmp_path))
    hand_in(delivery, 50)
    assert delivery.close(timeout_s=0.1) == DeliveryCounts(handed_in=50, spooled=50)
    spool = DeliverySpool(tmp_path)
    assert sorted(event.value for event in spool.checkout(100)) == sorted(event.value for event in events(50))


def test_beyond_the_spools_bound_events_are_dropped(nowhere: dict[str, ClientSetting], tmp_path: Path) -> None:
    delivery = KafkaDelivery(nowhere, spool=DeliverySpool(tmp_path, max_bytes=1_000))
    hand_in(delivery, 100)
    counts = delivery.close(timeout_s=0.1)
    assert counts.in_flight == 0
    assert counts.spooled > 0
    assert counts.dropped == 100 - counts.spooled > 0


def test_the_spool_is_sent_when_the_broker_answers(broker: str, tmp_path: Path) -> None:
    address, spool = TcpForwarder(), DeliverySpool(tmp_path)
    with KafkaDelivery({"bootstrap.servers": address.address, **IMPATIENT}, spool=spool, retry_s=0.1) as delivery:
        hand_in(delivery, 1_200)
        wait_for(lambda: delivery.counts().spooled == 1_200)
        address.open(broker)
        wait_for(lambda: spool.waiting == 0)
        counts = delivery.counts()
    address.close()
    assert (counts.handed_in, counts.spooled, counts.in_flight) == (1_200, 1_200, 0)
    assert counts.resent >= 1_200
    assert {message.value() for message in read_all(broker, "events")} == {event.value for event in events(1_200)}


def test_the_next_process_sends_what_the_last_one_spooled(
    broker: str, nowhere: dict[str, ClientSetting], tmp_path: Path
) -> None:
    with KafkaDelivery(nowhere, spool=DeliverySpool(tmp_path)) as delivery:
        hand_in(delivery, 20)
        delivery.close(timeout_s=0.1)
    spool = DeliverySpool(tmp_path)
    with KafkaDelivery({"bootstrap.servers": broker}, spool=spool) as delivery:
        wait_for(lambda: spool.waiting == 0)
        assert delivery.counts() == DeliveryCounts(resent=20)
    assert len(read_all(broker, "events")) == 20


def test_a_full_client_queue_spills_into_the_spool(nowhere: dict[str, ClientSetting], tmp_path: Path) -> None:
    settings = {**nowhere, "queue.buffering.max.messages": 10, "delivery.timeout.ms": 60_000}
    delivery = KafkaDelivery(settings, spool=DeliverySpool(tmp_path))
    hand_in(delivery, 100)
    assert delivery.counts().spooled == 90
    assert delivery.close(timeout_s=0.1) == DeliveryCounts(handed_in=100, spooled=100)


def test_an_event_too_large_is_dropped_and_not_retried(broker: str, tmp_path: Path) -> None:
    spool = DeliverySpool(tmp_path)
    with KafkaDelivery({"bootstrap.servers": broker, "message.max.bytes": 2_000}, spool=spool) as delivery:
        delivery.send(OutgoingEvent("events", b"k", b"x" * 5_000, "Request"))
        assert delivery.flush(5) == DeliveryCounts(handed_in=1, dropped=1)
        assert spool.waiting == 0


def test_after_close_events_are_counted_as_dropped(broker: str) -> None:
    delivery = KafkaDelivery({"bootstrap.servers": broker})
    delivery.close()
    hand_in(delivery, 3)
    assert delivery.close() == DeliveryCounts(handed_in=3, dropped=3)


class HiccupSpool(DeliverySpool):
    """A spool whose disk fails at the first `checkout` and at the first `finish`."""

    failed_checkout = failed_finish = False

    def checkout(self, limit: int) -> list[OutgoingEvent]:
        if not self.failed_checkout:
            self.failed_checkout = True
            raise OSError("disk hiccup")
        return super().checkout(limit)

    def finish(self, delivered: int, undelivered: Sequence[OutgoingEvent]) -> None:
        if not self.failed_finish:
            self.failed_finish = True
            raise OSError("disk hiccup")
        super().finish(delivered, undelivered)


def test_a_failing_disk_delays_the_spool_and_ends_nothing(
    broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producers.delivery.DISK_RETRY_SECONDS", 0.05)
    spool = HiccupSpool(tmp_path)
    for event in events(3):
        spool.append(event)
    with KafkaDelivery({"bootstrap.servers": broker}, spool=spool) as delivery:
        wait_for(lambda: spool.waiting == 0)
        assert delivery.counts() == DeliveryCounts(resent=6), "both attempts arrived; the join drops the copies"
        hand_in(delivery, 2)
        assert delivery.flush(10).acknowledged == 2


class DeadClient:
    """A client in librdkafka's fatal state: it refuses every event and recovers never."""

    def produce(self, *_: object) -> None:
        raise KafkaException(KafkaError(KafkaError._FATAL, "producer is dead", True))

    def poll(self, timeout: float) -> int:
        time.sleep(timeout)
        return 0

    def flush(self, timeout: float) -> int:
        return 0

    def purge(self) -> None:
        pass


class RevivedDelivery(KafkaDelivery):
    """Starts with a dead client; every later one is real."""

    clients = 0

    def __enter__(self) -> RevivedDelivery:
        return self

    def _connect(self) -> Producer:
        self.clients += 1
        return DeadClient() if self.clients == 1 else super()._connect()  # type: ignore[return-value]


def test_a_dead_client_is_replaced_and_its_events_are_sent(broker: str, tmp_path: Path) -> None:
    spool = DeliverySpool(tmp_path)
    with RevivedDelivery({"bootstrap.servers": broker}, spool=spool, retry_s=0.1) as delivery:
        hand_in(delivery, 5)
        wait_for(lambda: spool.waiting == 0)
        hand_in(delivery, 2)
        delivery.flush(10)
        counts = delivery.counts()
        assert delivery.clients == 2
    assert (counts.spooled, counts.acknowledged, counts.resent) == (5, 2, 5)


class FullDiskSpool(DeliverySpool):
    """A spool that can be read and no longer brought up to date."""

    def finish(self, delivered: int, undelivered: Sequence[OutgoingEvent]) -> None:
        raise OSError("No space left on device")


def test_a_full_disk_at_the_end_does_not_reach_the_caller(nowhere: dict[str, ClientSetting], tmp_path: Path) -> None:
    spool = FullDiskSpool(tmp_path)
    for event in events(3):
        spool.append(event)
    delivery = KafkaDelivery({**nowhere, "delivery.timeout.ms": 60_000}, spool=spool)
    wait_for(lambda: len(delivery._producer) == 3)
    assert delivery.close(timeout_s=0.1).in_flight == 0
    assert DeliverySpool(tmp_path).waiting == 3


class SlowSpool(DeliverySpool):
    """A spool on a slow disk."""

    def append(self, event: OutgoingEvent) -> bool:
        time.sleep(0.01)
        return super().append(event)


def test_every_event_has_its_fate_after_close_on_a_slow_disk(nowhere: dict[str, ClientSetting], tmp_path: Path) -> None:
    delivery = KafkaDelivery({**nowhere, "delivery.timeout.ms": 60_000}, spool=SlowSpool(tmp_path))
    hand_in(delivery, 250)
    assert delivery.close(timeout_s=0.1) == DeliveryCounts(handed_in=250, spooled=250)
