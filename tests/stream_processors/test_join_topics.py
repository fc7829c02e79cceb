"""The topics around the join, by prefix."""

from __future__ import annotations

import pytest

from producers.topic_admin import TopicError
from stream_processors.join_topics import JoinTopics
from tests.components.kafka_broker import KafkaBroker
from tests.conftest import TopicFactory


def test_three_topics_and_the_group_share_a_prefix(kafka: KafkaBroker, topics: TopicFactory) -> None:
    prefix = topics(2)
    under = JoinTopics.under({"bootstrap.servers": kafka.bootstrap}, prefix)
    assert [reader.topic for reader in (under.events, under.examples, under.dead_letters)] == [
        f"{prefix}events",
        f"{prefix}examples",
        f"{prefix}dead-letters",
    ]
    assert (under.events.partitions, under.group) == (2, f"{prefix}join")


def test_a_prefix_without_topics_is_an_error(kafka: KafkaBroker) -> None:
    with pytest.raises(TopicError, match="nowhere"):
        JoinTopics.under({"bootstrap.servers": kafka.bootstrap}, "nowhere.")
