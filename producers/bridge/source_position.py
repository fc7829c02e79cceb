"""How far one partition of a source topic is bridged, and how many of its records had which fate.

The counts are committed in the metadata of the offset. A crash loses both or neither, so the counts stay exact however
often the bridge dies.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from producers.bridge.engagement_mapping import BridgeFate
from producers.topics.topic_identity import IDENTITY

# Matched only at the start: when several partitions are read at once, librdkafka returns each text without its end
# marker, followed by other bytes. Version 0.1.0 wrote no topic id, and ignores one.
TEXT = re.compile(
    "v=1;"
    + "".join(rf"{fate.value}=(?P<{fate.value}>\d+);" for fate in BridgeFate)
    + rf"(?:topic=(?P<topic>{IDENTITY.pattern});)?"
)


class SourcePartition(NamedTuple):
    """A partition of a source topic."""

    topic: str
    partition: int


@dataclass
class SourcePosition:
    """`next_offset` is the first offset that is not settled; `fates` counts the records settled before it.

    `topic_id` is the id of the topic that the offset belongs to; it is empty when the commit did not contain one.
    `uncommitted` says that this position has not been committed yet.
    """

    next_offset: int
    topic_id: str = ""
    fates: Counter[BridgeFate] = field(default_factory=Counter)
    uncommitted: bool = False

    def mark_done(self, offset: int, fate: BridgeFate) -> None:
        """Marks the record at `offset` as settled."""
        self.next_offset = offset + 1
        self.fates[fate] += 1
        self.uncommitted = True

    def text(self) -> str:
        """The text committed with the offset: `v=1;bridged=…;unsampled=…;ignored=…;dead_letter=…;topic=…;`."""
        counts = "".join(f"{fate.value}={self.fates[fate]};" for fate in BridgeFate)
        return f"v=1;{counts}" + (f"topic={self.topic_id};" if self.topic_id else "")

    @classmethod
    def from_commit(cls, offset: int, text: str) -> SourcePosition:
        """The position in a commit; if another tool set the offset, the text is not ours and the counts start at 0."""
        found = TEXT.match(text)
        said = {} if found is None else found.groupdict()
        counts = Counter({fate: int(said.get(fate.value, 0)) for fate in BridgeFate})
        return cls(offset, said.get("topic") or "", counts)
