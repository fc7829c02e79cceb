"""Readers of the join's three topics, and the positions its consumer group has committed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from event_schemas.topics import DEAD_LETTERS, EVENTS, EXAMPLES, join_group, topic_name
from producers.topics import TopicIdentities, recreated
from stream_processors.audit.log_reader import LogReader
from stream_processors.partition.commit_position import BEGIN_ANEW, CommitPosition, LogReplaced


@dataclass(frozen=True)
class JoinTopics:
    """Readers of the three topics, the consumer group of the join, and the id of the events topic."""

    events: LogReader
    examples: LogReader
    dead_letters: LogReader
    group: str
    events_id: str

    @classmethod
    def under(cls, client_config: Mapping[str, str], prefix: str, identities: TopicIdentities) -> Self:
        """The topics of one prefix.

        Raises ComponentUnreachable, RightMissing, or TopicError when one does not exist.
        """
        events = LogReader(client_config, topic_name(prefix, EVENTS))
        return cls(
            events=events,
            examples=LogReader(client_config, topic_name(prefix, EXAMPLES)),
            dead_letters=LogReader(client_config, topic_name(prefix, DEAD_LETTERS)),
            group=join_group(prefix),
            events_id=identities.of(events.topic),
        )

    def committed(self) -> dict[int, CommitPosition]:
        """The positions that the join has committed; partitions without one are left out.

        Raises LogReplaced if they belong to an events topic that was deleted and created again.
        """
        found = self.events.committed(self.group)
        for position in found.values():
            if position.topic_id not in (None, self.events_id):
                raise LogReplaced(
                    f"the join's commits: {recreated(self.events.topic, str(position.topic_id), self.events_id)}",
                    fix=BEGIN_ANEW,
                )
        return found
