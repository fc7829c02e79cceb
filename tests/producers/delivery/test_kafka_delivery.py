"""Delivery to Kafka: acknowledged, spooled or dropped, and always counted, whatever the broker does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import pytest
from confluent_kafka import KafkaError
from prometheus_client import CollectorRegistry

from event_schemas.errors import SettingError
from monitoring.metrics import ProducerMetrics
from producers.delivery.delivery_ledger import DeliveryCounts
from producers.delivery.delivery_spool import DeliverySpool
from producers.delivery.kafka_client import KafkaClient
from producers.delivery.kafka_delivery import ClientSetting, KafkaDelivery
from producers.delivery.outgoing_event import OutgoingEvent
from producers.delivery.spool_entries import encode_entry
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

    failed_checkout = failed_check_in = False

    def checkout(self, limit: int) -> list[OutgoingEvent]:
        if not self.failed_checkout:
            self.failed_checkout = True
            raise OSError("disk hiccup")
        return super().checkout(limit)

    def check_in(self, delivered: int, undelivered: Sequence[OutgoingEvent]) -> None:
        if not self.failed_check_in:
            self.failed_check_in = True
            raise OSError("disk hiccup")
        super().check_in(delivered, undelivered)


def test_a_failing_disk_delays_the_spool_and_ends_nothing(
    broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producers.delivery.kafka_delivery.DISK_RETRY_SECONDS", 0.05)
    spool = HiccupSpool(tmp_path)
    for event in events(3):
        spool.append(event)
    with KafkaDelivery({"bootstrap.servers": broker}, spool=spool) as delivery:
        wait_for(lambda: spool.waiting == 0)
        assert delivery.counts() == DeliveryCounts(resent=6), "both attempts arrived; the join drops the copies"
        hand_in(delivery, 2)
        assert delivery.flush(10).acknowledged == 2


class DeadClient(KafkaClient):
    """A client that finds out that it is dead when it first polls."""

    def poll(self, seconds: float) -> None:
        super().poll(seconds)
        self.fault = KafkaError(KafkaError._FATAL, "producer is dead", True)


class DyingDelivery(KafkaDelivery):
    """Every client dies, holding on to its events, until `well` is set."""

    well = False

    def _connect(self, look_seconds: float) -> KafkaClient:
        if self.well:
            return super()._connect(look_seconds)
        return DeadClient({**self._config, "bootstrap.servers": "127.0.0.1:1", "delivery.timeout.ms": 300_000})


def test_a_dead_client_is_replaced_and_its_events_are_sent(broker: str, tmp_path: Path) -> None:
    spool, registry = DeliverySpool(tmp_path), CollectorRegistry()
    settings: dict[str, ClientSetting] = {"bootstrap.servers": broker}
    delivery = DyingDelivery(settings, spool=spool, retry_s=0.1, metrics=ProducerMetrics(registry))
    with delivery:
        hand_in(delivery, 5)
        wait_for(lambda: delivery.counts().spooled == 5)
        assert delivery.fault == "Kafka: producer is dead"
        assert registry.get_sample_value("trimtab_producer_delivering") == 0.0
        delivery.well = True
        wait_for(lambda: spool.waiting == 0)
        wait_for(lambda: delivery.fault is None)
        hand_in(delivery, 2)
        counts = delivery.flush(10)
        assert registry.get_sample_value("trimtab_producer_delivering") == 1.0
    assert (counts.spooled, counts.acknowledged, counts.resent) == (5, 2, 5)


def test_without_a_spool_what_a_dead_client_held_is_dropped_at_once(broker: str) -> None:
    with DyingDelivery({"bootstrap.servers": broker}) as delivery:
        for handed_in in (5, 10):
            hand_in(delivery, 5)
            assert delivery.flush(30) == DeliveryCounts(handed_in=handed_in, dropped=handed_in)


@pytest.mark.parametrize("bound", [None, 0, 1_000, 100_000])
def test_closing_while_nothing_works_accounts_for_everything(broker: str, tmp_path: Path, bound: int | None) -> None:
    spool = None if bound is None else DeliverySpool(tmp_path, bound)
    with DyingDelivery({"bootstrap.servers": broker}, spool=spool, retry_s=0.05) as delivery:
        hand_in(delivery, 100)
        wait_for(lambda: delivery.fault is not None)
        hand_in(delivery, 100)
        counts = delivery.close()
    assert (counts.handed_in, counts.in_flight, counts.acknowledged) == (200, 0, 0)
    assert (counts.spooled > 0, counts.dropped > 0) == (bound not in (None, 0), bound != 100_000)
    if bound is not None:
        assert DeliverySpool(tmp_path).waiting == counts.spooled


class StumblingSpool(DeliverySpool):
    """A spool that raises an unexpected error."""

    stumbled = 0

    def adopt(self) -> NoReturn:
        self.stumbled += 1
        raise LookupError("nobody thought of this")


def test_nothing_ends_the_delivery_thread(broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.delivery.kafka_delivery.DISK_RETRY_SECONDS", 0.05)
    monkeypatch.setattr("producers.delivery.resending.ADOPT_SECONDS", 0.0)
    spool = StumblingSpool(tmp_path)
    with KafkaDelivery({"bootstrap.servers": broker}, spool=spool) as delivery:
        hand_in(delivery, 3)
        wait_for(lambda: spool.stumbled > 2)
        wait_for(lambda: delivery.counts().acknowledged == 3)


def test_settings_that_no_client_takes_are_told(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="the Kafka client refuses its settings"):
        KafkaDelivery({"security.protocol": "SSL", "ssl.ca.location": str(tmp_path / "none.pem")})


def test_a_spooled_event_that_is_refused_for_good_is_counted(broker: str, tmp_path: Path) -> None:
    spool = DeliverySpool(tmp_path)
    spool.append(OutgoingEvent("events", b"k", b"x" * 5_000, "Request"))
    spool.append(OutgoingEvent("events", b"k", b"x", "Request"))
    with KafkaDelivery({"bootstrap.servers": broker, "message.max.bytes": 2_000}, spool=spool) as delivery:
        wait_for(lambda: spool.waiting == 0)
        assert delivery.counts() == DeliveryCounts(resent=1, refused=1)


def test_what_a_neighbour_left_is_adopted_and_sent(broker: str, tmp_path: Path) -> None:
    left = DeliverySpool(tmp_path / "old" / "spool")
    for event in events(40):
        left.append(event)
    left.close()
    registry = CollectorRegistry()
    spool = DeliverySpool(tmp_path / "new" / "spool", neighbours=tmp_path)
    with KafkaDelivery({"bootstrap.servers": broker}, spool=spool, metrics=ProducerMetrics(registry)) as delivery:
        wait_for(lambda: delivery.counts().resent == 40)
        assert delivery.counts() == DeliveryCounts(resent=40, adopted=40)
        labels = {"record": "Request", "fate": "adopted"}
        assert registry.get_sample_value("trimtab_producer_events_total", labels) == 40


def test_damage_in_the_spool_is_counted_and_holds_up_nothing(broker: str, tmp_path: Path) -> None:
    """One byte in the middle, a foreign entry with the right checksum, and a torn end."""
    entries = [bytearray(encode_entry(event)) for event in events(1_000)]
    entries[500][-1] ^= 1
    (tmp_path / "incoming.spool").write_bytes(b"".join([*entries, b"\0" * 8, entries[0][:-5]]))
    registry, spool = CollectorRegistry(), DeliverySpool(tmp_path)
    with KafkaDelivery({"bootstrap.servers": broker}, spool=spool, metrics=ProducerMetrics(registry)) as delivery:
        wait_for(lambda: spool.empty)
        wait_for(lambda: delivery.counts().damaged > 0)
        assert delivery.counts() == DeliveryCounts(resent=999, damaged=2)
    labels = {"record": "Request", "fate": "damaged"}
    assert registry.get_sample_value("trimtab_producer_events_total", labels) == 2
    assert len(read_all(broker, "events")) == 999


class FullDiskSpool(DeliverySpool):
    """A spool that can be read but no longer updated."""

    def check_in(self, delivered: int, undelivered: Sequence[OutgoingEvent]) -> None:
        raise OSError("No space left on device")


def test_a_full_disk_at_the_end_does_not_reach_the_caller(nowhere: dict[str, ClientSetting], tmp_path: Path) -> None:
    spool = FullDiskSpool(tmp_path)
    spool.claim("a cluster that answered before")
    for event in events(3):
        spool.append(event)
    delivery = KafkaDelivery({**nowhere, "delivery.timeout.ms": 60_000}, spool=spool)
    wait_for(lambda: len(delivery._clients.current or ()) == 3)
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
