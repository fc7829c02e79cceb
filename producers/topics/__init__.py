"""What every stage needs of Kafka: connections, rights, the topics, and ids that tell recreated topics apart.

Reads the cluster's metadata, topic ids and rights, and its consumer groups.
Writes nothing, except that it creates topics for `trimtab topics create`.
Guarantees that an error for an absent broker, a missing right or a wrong protocol names the address, user and topic.
Fails with ComponentUnreachable, RightMissing, TopicError or TopicUnidentified.
"""

from producers.topics.consumed_record import as_bytes, consumed_record
from producers.topics.group_coordinator import ask_coordinator
from producers.topics.group_members import member_count
from producers.topics.kafka_connection import (
    Attempt,
    ConnectionFaults,
    asking,
    creating_client,
    explained,
    right_missing,
    unwritten,
)
from producers.topics.kafka_refusals import EVENT_REFUSED, GROUP_RIGHT, POSITION_GONE, RIGHTS, TOPIC_ABSENT
from producers.topics.kafka_rights import require_rights
from producers.topics.topic_admin import (
    TopicError,
    TopicReport,
    absent_topics,
    asking_as_group,
    create_topics,
    partitions_of,
    partitions_of_all,
    require_equal_counts,
    touch_topics,
)
from producers.topics.topic_identity import TopicIdentities, TopicUnidentified, recreated, topic_identities

__all__ = [
    "Attempt",
    "ConnectionFaults",
    "EVENT_REFUSED",
    "GROUP_RIGHT",
    "POSITION_GONE",
    "RIGHTS",
    "TOPIC_ABSENT",
    "TopicError",
    "TopicIdentities",
    "TopicReport",
    "TopicUnidentified",
    "absent_topics",
    "as_bytes",
    "ask_coordinator",
    "asking",
    "asking_as_group",
    "consumed_record",
    "create_topics",
    "creating_client",
    "explained",
    "member_count",
    "partitions_of",
    "partitions_of_all",
    "recreated",
    "require_equal_counts",
    "require_rights",
    "right_missing",
    "topic_identities",
    "touch_topics",
    "unwritten",
]
