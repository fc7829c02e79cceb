"""How many readers a consumer group has now."""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka import KafkaException

from producers.topics.group_coordinator import ask_coordinator
from producers.topics.topic_admin import DESCRIBE_SECONDS, TopicAdmin


def member_count(client_config: Mapping[str, str], group: str) -> int | None:
    """Members of the group, 0 for one that does not exist; None where the broker does not tell.

    The embedded broker never does, nor does a broker tell a user without the right to describe the group. Raises
    SettingError.
    """
    admin = TopicAdmin.connect(client_config)

    def ask() -> int:
        asked = admin.client.describe_consumer_groups([group], request_timeout=DESCRIBE_SECONDS)
        return len(asked[group].result().members)

    try:
        return ask_coordinator(ask, DESCRIBE_SECONDS)
    except KafkaException:
        return None
