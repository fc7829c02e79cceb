"""Deletes a topic and creates it again under the same name, as a person would to start over."""

from __future__ import annotations

import time

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

PATIENCE_SECONDS = 60.0


def create_again(bootstrap: str, topic: str, partitions: int) -> None:
    """Delete the topic if it exists, and create it; returns once the broker reports the new one."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    _delete(admin, topic)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not _created(admin, topic, partitions):
        assert time.monotonic() < deadline, f"{topic} is not created"
        time.sleep(0.1)
    while _partitions(admin, topic) != partitions:
        assert time.monotonic() < deadline, f"{topic} does not appear"
        time.sleep(0.05)


def _partitions(admin: AdminClient, topic: str) -> int:
    found = admin.list_topics(timeout=10).topics.get(topic)
    return 0 if found is None else len(found.partitions)


def _delete(admin: AdminClient, topic: str) -> None:
    try:
        admin.delete_topics([topic])[topic].result()
    except KafkaException as fault:
        assert fault.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART, fault


def _created(admin: AdminClient, topic: str, partitions: int) -> bool:
    try:
        admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result()
    except KafkaException as fault:  # the old one is still going
        assert fault.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS, fault
        return False
    return True
