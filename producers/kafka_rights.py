"""The rights that a process needs, asked for before it begins.

Without a right a client often only waits, or fails much later with words that name no topic. A broker tells what a user
may do with a topic or a group to whoever may describe it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation  # type: ignore[attr-defined]  # public, without __all__

from producers.kafka_connection import RIGHTS, Attempt, right_missing
from producers.topic_admin import DESCRIBE_SECONDS, TopicAdmin


def require_rights(client_config: Mapping[str, str], topics: Sequence[Attempt], groups: Sequence[Attempt] = ()) -> None:
    """Raise RightMissing for the first of these that this user may not do: `Read` or `Write` topics, `Read` groups.

    Raises ComponentUnreachable when no broker answers. What a broker does not tell, and topics that do not exist, are
    left to whoever meets them. `topics` holds one at least.
    """
    admin = TopicAdmin.connect(client_config)
    admin.partition_counts(topics[0].name)
    names = TopicCollection(list({attempt.name for attempt in topics}))
    described = admin.client.describe_topics(
        names, request_timeout=DESCRIBE_SECONDS, include_authorized_operations=True
    )
    for attempt in topics:
        _require(client_config, attempt, described[attempt.name])
    for attempt in groups:
        asked = admin.client.describe_consumer_groups(
            [attempt.name], request_timeout=DESCRIBE_SECONDS, include_authorized_operations=True
        )
        _require(client_config, attempt, asked[attempt.name])


def _require(client_config: Mapping[str, str], attempt: Attempt, answer: Future[Any]) -> None:
    try:
        allowed = answer.result().authorized_operations
    except KafkaException as fault:
        if fault.args[0].code() in RIGHTS:
            raise right_missing(client_config, attempt) from fault
        return
    # Whoever may describe it is told at least that; an empty answer comes from brokers that do not keep count.
    if allowed and AclOperation[attempt.operation.upper()] not in allowed:
        raise right_missing(client_config, attempt)
