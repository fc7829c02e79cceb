"""How far one partition of a source topic is bridged, and what became of it so far.

The counts are committed in the text beside the offset. A kill then loses neither or both, and they stay exact however
often the bridge dies.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from producers.bridge.engagement_mapping import BridgeFate
from producers.topics.topic_identity import IDENTITY

# Matched from its start on only: librdkafka gives the texts of several partitions without their end, and its readers
# run on into what comes after. Version 0.1.0 wrote no topic, and reads over one.
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
    """`next_offset` is the first offset that is not settled; `fates` counts the records before it, as far as committed.

    `topic_id` says which topic of that name the offset counts, and is empty where a commit did not say.
    `uncommitted` says that the group does not know of this position yet.
    """

    next_offset: int
    topic_id: str = ""
    fates: Counter[BridgeFate] = field(default_factory=Counter)
    uncommitted: bool = False

    def mark_done(self, offset: int, fate: BridgeFate) -> None:
        """Takes the record at `offset` as done."""
        self.next_offset = offset + 1
        self.fates[fate] += 1
        self.uncommitted = True

    def text(self) -> str:
        """The text committed beside the offset: `v=1;bridged=…;unsampled=…;ignored=…;dead_letter=…;topic=…;`."""
        counts = "".join(f"{fate.value}={self.fates[fate]};" for fate in BridgeFate)
        return f"v=1;{counts}" + (f"topic={self.topic_id};" if self.topic_id else "")

    @classmethod
    def from_commit(cls, offset: int, text: str) -> SourcePosition:
        """The position of a commit; a text that is not ours (other tools set the offset) starts the counts anew."""
        found = TEXT.match(text)
        said = {} if found is None else found.groupdict()
        counts = Counter({fate: int(said.get(fate.value, 0)) for fate in BridgeFate})
        return cls(offset, said.get("topic") or "", counts)
