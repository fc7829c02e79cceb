"""The rights that a process needs, asked for before it begins.

Without a right a client often only waits, or fails much later with words that name no topic. A broker tells what a user
may do with a topic or a group to whoever may describe it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from producers.topics.kafka_connection import Attempt
from producers.topics.topic_admin import TopicAdmin


def require_rights(client_config: Mapping[str, str], topics: Sequence[Attempt], groups: Sequence[Attempt] = ()) -> None:
    """Raise RightMissing for the first of these that this user may not do: `Read` or `Write` topics, `Read` groups.

    Raises ComponentUnreachable when no broker answers; see TopicAdmin for what is left to others. `topics` holds one at
    least.
    """
    admin = TopicAdmin.connect(client_config)
    admin.partition_counts(topics[0].name)
    admin.require_rights(topics, groups)
