"""The list of committed segments together with the offsets they reach to: one JSON file, replaced atomically."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

from learner.durable_files import write_durably
from learner.learner_errors import StoreMismatch

MANIFEST_NAME = "manifest.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Segment:
    """One Parquet file; its rows' request ids and times are its dedupe keys. Event times are epoch milliseconds."""

    name: str
    rows: int
    first_event_time: int
    last_event_time: int


@dataclass(frozen=True)
class SegmentManifest:
    """What is committed.

    `next_offsets` maps a partition of `topic` to the first offset not yet taken in; `newest_closed` is the largest
    event time of any example ever taken in; `sequence` numbers the next segment file.
    """

    topic: str
    next_offsets: Mapping[int, int] = field(default_factory=dict)
    segments: tuple[Segment, ...] = ()
    newest_closed: int | None = None
    sequence: int = 0

    @property
    def rows(self) -> int:
        """Rows in all segments."""
        return sum(segment.rows for segment in self.segments)

    def retired(self, horizon: int) -> Self:
        """Without the segments whose every row is older than `horizon`."""
        return replace(self, segments=tuple(s for s in self.segments if s.last_event_time >= horizon))

    def save(self, directory: Path) -> None:
        """Commit: from here on this is what the directory holds."""
        offsets = {str(partition): offset for partition, offset in sorted(self.next_offsets.items())}
        content = {"format": FORMAT, **asdict(self), "next_offsets": offsets}
        write_durably(directory / MANIFEST_NAME, json.dumps(content, indent=1).encode())

    @classmethod
    def load(cls, directory: Path) -> Self | None:
        """The committed manifest of `directory`, None when there is none; raises StoreMismatch."""
        path = directory / MANIFEST_NAME
        if not path.exists():
            return None
        try:
            content = json.loads(path.read_bytes())
            if content.pop("format") != FORMAT:
                raise ValueError(f"it is not of format {FORMAT}")
            content["next_offsets"] = {int(p): int(o) for p, o in content["next_offsets"].items()}
            content["segments"] = tuple(Segment(**segment) for segment in content["segments"])
            return cls(**content)
        except (ValueError, KeyError, TypeError, AttributeError) as fault:
            raise StoreMismatch(
                f"{path}: unreadable segment manifest: {fault}",
                mend="restore it from a backup, or move the directory away and ingest anew from the topic",
            ) from fault
