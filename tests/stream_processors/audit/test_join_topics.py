"""The topics around the join, by prefix."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, TopicPartition

from producers.topics.topic_admin import TopicError
from producers.topics.topic_identity import DeclaredIdentity, topic_identities
from stream_processors.audit.join_topics import JoinTopics
from stream_processors.partition.commit_position import CommitPosition, LogReplaced
from tests.components.kafka_broker import KafkaBroker
from tests.conftest import TopicFactory


def test_three_topics_and_the_group_share_a_prefix(kafka: KafkaBroker, topics: TopicFactory) -> None:
    prefix = topics(2)
    client = {"bootstrap.servers": kafka.bootstrap}
    under = JoinTopics.under(client, prefix, topic_identities(client))
    assert [reader.topic for reader in (under.events, under.examples, under.dead_letters)] == [
        f"{prefix}events",
        f"{prefix}examples",
        f"{prefix}dead-letters",
    ]
    assert (under.events.partitions, under.group) == (2, f"{prefix}join")


def test_commits_of_an_events_topic_that_is_gone_are_refused(kafka: KafkaBroker, topics: TopicFactory) -> None:
    client = {"bootstrap.servers": kafka.bootstrap}
    under = JoinTopics.under(client, topics(2), topic_identities(client))
    for topic_id, refused in ((None, False), (under.events_id, False), ("another", True)):
        position = CommitPosition(3, 2, 1, None, 0, 1_000, topic_id)
        consumer = Consumer({**client, "group.id": under.group})
        place = TopicPartition(under.events.topic, 1, position.rebuild_from, metadata=position.encode())
        consumer.commit(offsets=[place], asynchronous=False)
        consumer.close()
        if refused:
            with pytest.raises(LogReplaced, match="belong to topic id another, its id is now"):
                under.committed()
        else:
            assert under.committed() == {1: position}


def test_a_prefix_without_topics_is_an_error(kafka: KafkaBroker) -> None:
    with pytest.raises(TopicError, match="nowhere"):
        JoinTopics.under({"bootstrap.servers": kafka.bootstrap}, "nowhere.", DeclaredIdentity("x"))
