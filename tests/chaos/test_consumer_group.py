"""The members of a group, as the coordinator sees them."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer

from event_schemas.errors import ComponentUnreachable
from producers.topics.topic_admin import create_topics
from tests.chaos.consumer_group import group_members
from tests.chaos.fragile_broker import FragileBroker
from tests.components.free_port import free_port


def test_members_are_seen_with_their_partitions(fragile_broker: FragileBroker) -> None:
    create_topics({"bootstrap.servers": fragile_broker.direct}, "members.", 3, 1)
    consumer = Consumer({"bootstrap.servers": fragile_broker.direct, "group.id": "one"})
    consumer.subscribe(["members.events"])
    for _ in range(100):
        consumer.poll(0.2)
        if consumer.assignment():
            break
    [(_, partitions)] = group_members(fragile_broker.direct, "one")
    consumer.close()
    assert partitions == (0, 1, 2)
    assert group_members(fragile_broker.direct, "nobody") == frozenset()


def test_a_broker_that_is_away_is_unreachable() -> None:
    with pytest.raises(ComponentUnreachable, match="group one"):
        group_members(f"127.0.0.1:{free_port()}", "one")
