"""Spooled events that Kafka refuses hold up no others, make no node unready, and are never lost."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from monitoring.metrics import ProducerMetrics
from producers.delivery.delivery_ledger import DeliveryCounts
from producers.delivery.delivery_spool import DeliverySpool
from producers.delivery.kafka_client import KafkaClient
from producers.delivery.kafka_delivery import ClientSetting, KafkaDelivery
from producers.delivery.outgoing_event import OutgoingEvent
from producers.delivery.spool_entries import encode_entry, read_events
from tests.components.embedded_log import embedded_broker, read_all
from tests.components.kafka_broker import KafkaBroker
from tests.producers.delivery.test_kafka_delivery import wait_for
from tests.producers.spool_events import events

IMPATIENT: dict[str, ClientSetting] = {"delivery.timeout.ms": 500, "topic.metadata.propagation.max.ms": 1_500}


def left_in(spool: Path, *batches: list[OutgoingEvent]) -> None:
    spool.mkdir(parents=True, exist_ok=True)
    (spool / "incoming.spool").write_bytes(b"".join(encode_entry(event) for batch in batches for event in batch))


def test_a_topic_that_is_gone_keeps_nobody_unready(
    kafka: KafkaBroker, topics: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole batch of its events comes first; for a while the client treats the topic as newly created."""
    monkeypatch.setattr("producers.delivery.spool_refusals.SET_ASIDE_SECONDS", 1.0)
    topic = f"{topics(2)}events"
    gone = [OutgoingEvent("gone.events", b"k", b"%d" % number, "Request") for number in range(600)]
    good = [OutgoingEvent(topic, b"k", b"%d" % number, "Request") for number in range(400)]
    left_in(tmp_path / "old" / "spool", gone[:550], good, gone[550:])
    spool, registry = DeliverySpool(tmp_path / "new" / "spool", neighbours=tmp_path), CollectorRegistry()
    faults, told = set(), set()
    settings: dict[str, ClientSetting] = {**IMPATIENT, "bootstrap.servers": kafka.bootstrap}
    with KafkaDelivery(settings, spool=spool, retry_s=0.05, metrics=ProducerMetrics(registry)) as delivery:
        delivery.expect(topic)

        def over() -> bool:
            faults.add(delivery.fault)
            told.add(delivery.spool_fault)
            return delivery.counts().resent >= 400 and spool.empty

        wait_for(over, 60)
        counts = delivery.counts()
    assert faults == {None}
    assert any(fault is not None and fault.startswith("gone.events: ") for fault in told)
    # On a slow machine some time out and arrive all the same.
    assert counts == DeliveryCounts(resent=counts.resent, set_aside=600, adopted=1_000)
    assert {message.value() for message in read_all(kafka.bootstrap, topic)} == {event.value for event in good}
    labels = {"record": "Request", "fate": "set_aside"}
    assert registry.get_sample_value("trimtab_producer_events_total", labels) == 600
    aside = [event.value for event in read_events(tmp_path / "new" / "spool" / "undeliverable.spool")]
    assert sorted(aside) == sorted(event.value for event in gone)


def test_a_partition_that_is_not_there_says_nothing_of_its_topic(tmp_path: Path) -> None:
    missing = OutgoingEvent("events", b"k", b"lost", "Heartbeat", 99)
    left_in(tmp_path, [missing], events(50))
    with embedded_broker() as bootstrap:
        spool = DeliverySpool(tmp_path)
        with KafkaDelivery({"bootstrap.servers": bootstrap}, spool=spool, retry_s=0.05) as delivery:
            delivery.expect("events")
            wait_for(lambda: delivery.counts().resent == 50)
            wait_for(lambda: delivery.spool_fault is not None)
            wait_for(lambda: spool.waiting == 1)
            assert delivery.fault is None
            assert str(delivery.spool_fault).startswith("events[99]: ")
    assert list(read_events(tmp_path / "incoming.spool")) + list(read_events(tmp_path / "outgoing.spool")) == [missing]


def test_what_was_set_aside_is_sent_when_somebody_puts_it_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the guide says: as the spool of a node that does not run, near a live one."""
    monkeypatch.setattr("producers.delivery.spool_refusals.SET_ASIDE_SECONDS", 0.0)
    monkeypatch.setattr("producers.delivery.resending.ADOPT_SECONDS", 0.1)
    left_in(tmp_path / "n1" / "spool", [OutgoingEvent("events", b"k", b"%d" % n, "Heartbeat", 9) for n in range(30)])
    spool = DeliverySpool(tmp_path / "n1" / "spool", neighbours=tmp_path)
    aside, again = tmp_path / "n1" / "spool" / "undeliverable.spool", tmp_path / "again" / "spool"
    with embedded_broker() as bootstrap:
        with KafkaDelivery({"bootstrap.servers": bootstrap}, spool=spool, retry_s=0.05) as delivery:
            wait_for(lambda: delivery.counts().set_aside == 30)
            assert delivery.counts() == DeliveryCounts(set_aside=30)
            put_back = [OutgoingEvent(e.topic, e.key, e.value, e.record, 0) for e in read_events(aside)]
            again.mkdir(parents=True)
            aside.unlink()
            (tmp_path / "fixed").write_bytes(b"".join(map(encode_entry, put_back)))
            shutil.move(tmp_path / "fixed", again / "incoming.spool")
            wait_for(lambda: delivery.counts().resent == 30)
        assert {message.value() for message in read_all(bootstrap, "events")} == {b"%d" % n for n in range(30)}


def test_nothing_of_one_kafka_is_sent_to_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Production and staging share a data directory, and even a node name; the cluster's id tells them apart."""
    monkeypatch.setattr("producers.delivery.resending.ADOPT_SECONDS", 0.1)

    def spool_of(name: str) -> DeliverySpool:
        return DeliverySpool(tmp_path / name / "spool", neighbours=tmp_path, topic_prefix="")

    def node(bootstrap: str, name: str) -> tuple[KafkaDelivery, DeliverySpool]:
        spool = spool_of(name)
        return KafkaDelivery({"bootstrap.servers": bootstrap}, spool=spool, retry_s=0.05), spool

    with embedded_broker() as production, embedded_broker() as staging:
        client = KafkaClient({"bootstrap.servers": production})
        cluster = client.cluster("events", 30.0)
        client.release()
        assert cluster
        for name in ("gone", "shared"):
            spool = spool_of(name)
            spool.announce(production)
            spool.claim(cluster)
            assert all(spool.append(OutgoingEvent("events", b"k", name.encode(), "Request")) for _ in range(5))
            spool.close()
        delivery, spool = node(staging, "shared")
        with delivery:
            delivery.send(OutgoingEvent("events", b"k", b"of staging", "Request"))
            wait_for(lambda: delivery.counts().acknowledged == 1 and spool.claimed)
            wait_for(lambda: bool(list(tmp_path.glob("shared/spool/forked/elsewhere-*"))))
            assert (spool.waiting, delivery.counts().resent) == (0, 0)
        delivery, spool = node(production, "other")
        with delivery:
            wait_for(lambda: delivery.counts().resent == 10)
            assert delivery.counts().adopted == 10
        assert [message.value() for message in read_all(staging, "events")] == [b"of staging"]
        assert Counter(message.value() for message in read_all(production, "events")) == {b"gone": 5, b"shared": 5}


@pytest.mark.parametrize("bound", [10, 100_000])
def test_what_cannot_be_kept_aside_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: int) -> None:
    """The file has the spool's bound, and a disk may refuse it."""
    monkeypatch.setattr("producers.delivery.spool_refusals.SET_ASIDE_SECONDS", 0.0)
    left_in(tmp_path, [OutgoingEvent("events", b"k", b"lost", "Heartbeat", 99)], events(5))
    if bound > 10:
        (tmp_path / "undeliverable.spool").mkdir()
    spool = DeliverySpool(tmp_path, bound)
    with (
        embedded_broker() as bootstrap,
        KafkaDelivery({"bootstrap.servers": bootstrap}, spool=spool, retry_s=0.05) as kept,
    ):
        wait_for(lambda: kept.counts().resent == 5)
        wait_for(lambda: kept.spool_fault is not None)
        wait_for(lambda: spool.waiting == 1)
        assert kept.counts().set_aside == 0
