"""How many readers a consumer group has now."""

from __future__ import annotations

from collections.abc import Mapping

import stamina
from confluent_kafka import KafkaException

from producers.topics.group_coordinator import coordinator_is_moving
from producers.topics.topic_admin import DESCRIBE_SECONDS, TopicAdmin


def member_count(client_config: Mapping[str, str], group: str) -> int | None:
    """Members of the group, 0 for one that does not exist; None where the broker does not tell.

    The embedded broker never does, nor does a broker tell a user without the right to describe the group. Raises
    SettingError.
    """
    admin = TopicAdmin.connect(client_config)
    patience = stamina.retry_context(on=coordinator_is_moving, attempts=None, timeout=DESCRIBE_SECONDS, wait_max=0.5)
    try:
        for attempt in patience:
            with attempt:
                asked = admin.client.describe_consumer_groups([group], request_timeout=DESCRIBE_SECONDS)
                return len(asked[group].result().members)
    except KafkaException:
        pass
    return None
