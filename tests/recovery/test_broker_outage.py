"""The broker goes away while a node logs, and comes back: no decision is lost, none is uncounted."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from producers.delivery.delivery_spool import DeliverySpool
from producers.delivery.kafka_delivery import ClientSetting, KafkaDelivery
from producers.delivery.outgoing_event import OutgoingEvent
from producers.topics.topic_admin import create_topics
from tests.components.embedded_log import read_all
from tests.components.kafka_broker import KafkaBroker

PHASE = 300


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not reached in {seconds} s"
        time.sleep(0.05)


def hand_in(delivery: KafkaDelivery, phase: str) -> set[bytes]:
    values = {f"{phase} {number}".encode() for number in range(PHASE)}
    for value in sorted(values):
        delivery.send(OutgoingEvent("trimtab.events", value, value, "Request"))
    return values


def test_events_logged_during_an_outage_arrive_after_it(tmp_path: Path) -> None:
    broker = KafkaBroker(tmp_path)
    broker.start()
    try:
        client = {"bootstrap.servers": broker.bootstrap}
        create_topics(client, "trimtab.", partitions=4, replication=1)
        spool = DeliverySpool(tmp_path / "spool")
        impatient: dict[str, ClientSetting] = {**client, "delivery.timeout.ms": 4_000, "reconnect.backoff.max.ms": 500}
        with KafkaDelivery(impatient, spool=spool, retry_s=0.5) as delivery:
            expected = hand_in(delivery, "before")
            assert delivery.flush(10).acknowledged == PHASE
            broker.kill()
            expected |= hand_in(delivery, "during")
            wait_for(lambda: delivery.counts().in_flight == 0, 20)
            assert delivery.counts().spooled == PHASE
            broker.start()
            wait_for(lambda: spool.waiting == 0, 60)
            expected |= hand_in(delivery, "after")
            counts = delivery.flush(20)
        assert (counts.handed_in, counts.in_flight, counts.dropped) == (3 * PHASE, 0, 0)
        assert {message.value() for message in read_all(broker.bootstrap, "trimtab.events")} == expected
    finally:
        broker.stop()
