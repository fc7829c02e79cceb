"""Checks the rights that a process needs before it begins.

Without a right a client often just waits, or fails much later with an error that names no topic. A user who may
describe a topic or a group can ask the broker which rights it has there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from producers.topics.kafka_connection import Attempt
from producers.topics.topic_admin import TopicAdmin


def require_rights(client_config: Mapping[str, str], topics: Sequence[Attempt], groups: Sequence[Attempt] = ()) -> None:
    """Raises RightMissing for the first of these that this user may not do: `Read` or `Write` topics, `Read` groups.

    Raises ComponentUnreachable when no broker answers. See TopicAdmin.require_rights for what cannot be checked.
    `topics` must not be empty.
    """
    admin = TopicAdmin.connect(client_config)
    admin.partition_counts(topics[0].name)
    admin.require_rights(topics, groups)
