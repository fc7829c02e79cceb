"""The three topics around the join as a reader from outside sees them, and the join's consumer group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from event_schemas.topics import DEAD_LETTERS, EVENTS, EXAMPLES, topic_name
from stream_processors.log_reader import LogReader


@dataclass(frozen=True)
class JoinTopics:
    """Readers of the three topics, and the consumer group of the join."""

    events: LogReader
    examples: LogReader
    dead_letters: LogReader
    group: str

    @classmethod
    def under(cls, client_config: Mapping[str, str], prefix: str) -> Self:
        """The topics of one prefix; raises ComponentUnreachable, or TopicError when one does not exist."""
        return cls(
            events=LogReader(client_config, topic_name(prefix, EVENTS)),
            examples=LogReader(client_config, topic_name(prefix, EXAMPLES)),
            dead_letters=LogReader(client_config, topic_name(prefix, DEAD_LETTERS)),
            group=f"{prefix}join",
        )
