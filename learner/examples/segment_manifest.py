"""The list of committed segments with the offsets up to which they were read: one JSON file, replaced atomically.

Format 2 contains the topic's id, a hash of each segment and a hash of the manifest itself, so that a manifest altered
by a disk or a person is detected. Format 1, of version 0.1.0, has none of these; `SegmentStore` converts it on opening.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, TypeAdapter

from learner.examples.durable_files import write_durably
from learner.examples.learner_errors import StoreDamaged, StoreMismatch

MANIFEST_NAME = "manifest.json"
FORMAT = 2
UNHASHED_FORMAT = 1
REREAD = (
    "start `trimtab learn` once with --reread: it keeps what is intact, moves the rest to the folder `damaged`, and "
    "reads everything that the topic still has again"
)
"""How to recover from a damaged directory."""

REQUIRED = frozenset({"topic", "next_offsets", "segments", "newest_closed", "sequence"})

Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Segment:
    """One Parquet file. The request ids and times of its rows are the dedupe keys. Event times are epoch milliseconds.

    `sha256` is the hash of the file in lower-case hex, or None for a segment of format 1.
    """

    name: Annotated[str, Field(pattern=r"^[0-9]{8,}\.parquet$")]
    rows: Count
    first_event_time: int
    last_event_time: int
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


@dataclass(frozen=True)
class SegmentManifest:
    """The committed state.

    `next_offsets` maps each partition of `topic` to the first offset not yet ingested; `topic_id` is the id of the
    topic to which these offsets belong (None: not known yet). `newest_closed` is the largest event time of any example
    ever ingested; `sequence` is the number of the next segment file. `replaced` maps segments to the names of those
    that they took the place of, until these files are deleted.
    """

    topic: str
    next_offsets: Mapping[Count, Count] = field(default_factory=dict)
    segments: tuple[Segment, ...] = ()
    newest_closed: int | None = None
    sequence: Count = 0
    topic_id: str | None = None
    replaced: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows in all segments."""
        return sum(segment.rows for segment in self.segments)

    @property
    def hashed(self) -> bool:
        """Whether every segment's hash is known."""
        return all(segment.sha256 is not None for segment in self.segments)

    def retired(self, horizon: int) -> Self:
        """The manifest without segments of which all rows are older than `horizon`."""
        return replace(self, segments=tuple(s for s in self.segments if s.last_event_time >= horizon))

    @property
    def superseded(self) -> frozenset[str]:
        """The names of the files that other segments took the place of."""
        return frozenset(name for names in self.replaced.values() for name in names)

    def pruned(self, directory: Path) -> Self:
        """The manifest without replaced files that are gone."""
        there = {
            new: tuple(name for name in old if os.path.lexists(directory / name)) for new, old in self.replaced.items()
        }
        return replace(self, replaced={new: old for new, old in there.items() if old})

    def save(self, directory: Path) -> None:
        """Commit this as the state of the directory; every segment must have a hash."""
        assert self.hashed
        offsets = {str(partition): offset for partition, offset in sorted(self.next_offsets.items())}
        content = {"format": FORMAT, **asdict(self), "next_offsets": offsets}
        content["sha256"] = _digest(content)
        write_durably(directory / MANIFEST_NAME, json.dumps(content, indent=1).encode())

    @classmethod
    def load(cls, directory: Path) -> Self | None:
        """The committed manifest of `directory`, or None if there is none.

        Raises StoreDamaged if it is unreadable or altered, StoreMismatch if a newer version wrote it.
        """
        path = directory / MANIFEST_NAME
        try:
            content = json.loads(path.read_bytes())
            _require_known(path, content["format"])
            if content.pop("format") == FORMAT and content.pop("sha256") != _digest({"format": FORMAT, **content}):
                raise ValueError("its content does not match its hash")
            if lacking := REQUIRED - content.keys():
                raise ValueError(f"it lacks {', '.join(sorted(lacking))}")
            return TypeAdapter(cls).validate_json(json.dumps(content), strict=True)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as fault:
            raise StoreDamaged(f"{path}: unreadable segment manifest: {_first_line(fault)}", fix=REREAD) from fault


def _require_known(path: Path, form: Any) -> None:
    if isinstance(form, int) and form > FORMAT:
        raise StoreMismatch(
            f"{path} has format {form}; this version of Trimtab reads formats up to {FORMAT}",
            fix="use the version that wrote it, or give this version its own TRIMTAB_DATA_DIR",
        )
    if form not in (FORMAT, UNHASHED_FORMAT):
        raise ValueError(f"its format is {form!r}")


def _digest(content: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the canonical JSON of everything but the hash itself."""
    return sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _first_line(fault: Exception) -> str:
    return next(iter(f"{type(fault).__name__}: {fault}".splitlines()))
