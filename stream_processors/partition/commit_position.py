"""Where a partition's join stands, as it is committed to the consumer group: an offset and a short text.

The committed offset is `rebuild_from`. The text carries the rest; brokers accept up to 4,096 bytes of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from event_schemas.errors import TrimtabError

VERSION = "1"
BEGIN_ANEW = (
    "use a new topic prefix; or delete the examples and dead-letters topics and the join's consumer group too, run"
    " `trimtab topics create`, and start `trimtab learn` once with --reread"
)
PATTERN = re.compile(
    r"v=(?P<v>\d+);S=(?P<S>\d+);R=(?P<R>\d+);wm=(?P<wm>-?\d+|none);floor=(?P<floor>\d+);window=(?P<window>\d+)"
    r"(;topic=(?P<topic>[A-Za-z0-9._-]{1,64}))?"
)


class LogTruncated(TrimtabError):
    """The log no longer holds records that the join has yet to read."""


class LogReplaced(TrimtabError):
    """The offsets belong to another log: its topic was deleted and created again."""


class CommitUnreadable(TrimtabError):
    """A committed position was not written by this join, or by one with another window."""


@dataclass(frozen=True, slots=True)
class CommitPosition:
    """Offsets of one partition of the events log, `rebuild_from` ≤ `open_from` ≤ `settled`.

    All records before `settled` have had their effect; results count from there on. `open_from` is the first offset of
    a decision that is still open at `settled`, or `settled` if there is none. `rebuild_from`, the committed offset, is
    the first offset of a decision that is still remembered at `settled`: reading from there up to `settled` without
    output recreates the state. `watermark` (ms, None before the first event) is the one before the record at
    `rebuild_from`. Decisions that began before `floor` and are not closed by the watermark were closed early by the
    cap. `window_ms` is the window all this was computed with. `topic_id` is the id of the topic that the offsets count
    in; version 0.1.0 committed none.
    """

    settled: int
    open_from: int
    rebuild_from: int
    watermark: int | None
    floor: int
    window_ms: int
    topic_id: str | None = None

    def encode(self) -> str:
        """The text committed beside the offset `rebuild_from`: `v=1;S=…;R=…;wm=…;floor=…;window=…;topic=…`.

        S is `settled` and R is `open_from`.
        """
        watermark = "none" if self.watermark is None else self.watermark
        topic = "" if self.topic_id is None else f";topic={self.topic_id}"
        return (
            f"v={VERSION};S={self.settled};R={self.open_from};wm={watermark};floor={self.floor};window={self.window_ms}"
            f"{topic}"
        )

    @classmethod
    def parse(cls, offset: int, metadata: str) -> CommitPosition:
        """The position that a committed offset and its text stand for; raises CommitUnreadable."""
        found = PATTERN.fullmatch(metadata)
        if found is None or found["v"] != VERSION:
            raise CommitUnreadable(
                f"commit at offset {offset} carries {metadata!r}, not the text of this join (v={VERSION};S=…)",
                fix="use a separate consumer group for the join, or reset the group to an offset to start from",
            )
        return cls(
            settled=int(found["S"]),
            open_from=int(found["R"]),
            rebuild_from=offset,
            watermark=None if found["wm"] == "none" else int(found["wm"]),
            floor=int(found["floor"]),
            window_ms=int(found["window"]),
            topic_id=found["topic"],
        )
