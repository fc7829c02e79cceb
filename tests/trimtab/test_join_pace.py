"""Writers are held back by what the join has not read, or by nothing."""

from __future__ import annotations

import pytest
from confluent_kafka import Producer

from event_schemas.topics import EVENTS
from tests.components.embedded_log import embedded_broker
from trimtab.join_pace import paced_by_join
from trimtab.settings import load_settings


def test_a_writer_is_paced_by_what_the_join_of_its_prefix_has_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with embedded_broker() as bootstrap:
        monkeypatch.setenv("TRIMTAB_KAFKA_BOOTSTRAP", bootstrap)
        settings = load_settings()
        producer = Producer({"bootstrap.servers": bootstrap})
        producer.produce(settings.topic(EVENTS), b"event", partition=0)
        assert producer.flush(20) == 0
        with paced_by_join(settings, 1) as pacer:
            assert pacer is not None
            pacer.wait(1_000, 1)


def test_nobody_waits_for_a_join_that_may_hold_any_number_of_bytes() -> None:
    with paced_by_join(load_settings(), 1, 0) as pacer:
        assert pacer is None
