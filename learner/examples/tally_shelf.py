"""The tallies as the learner last read them, kept on disk, so that the log can be judged without Kafka.

The file is written completely or not at all. One that is damaged is as good as none: the next run writes it anew.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import structlog

from learner.examples.durable_files import unwritable, write_durably
from learner.examples.slice_tallies import ArmDay, SliceTallies, SpanDay, SpanTotal

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KeptTallies:
    """Tallies, and the event time (ms) of the newest example that was stored when they were read.

    None if they were read just now, after all examples.
    """

    tallies: SliceTallies = field(default_factory=lambda: SliceTallies({}))
    newest_example: int | None = None

    def ended_before(self, newest: int) -> int | None:
        """The event time from whose day on the tallies may know less than a store up to `newest`; None if they know
        all of it."""
        return None if self.newest_example is None or self.newest_example >= newest else self.newest_example

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        tallies = self.tallies
        return {
            "newest_example": self.newest_example,
            "counts": dict(tallies.counts),
            "left_out": dict(tallies.left_out),
            "arms": [[*key, count] for key, count in tallies.arms.items()],
            "spans": [[*key, asdict(total)] for key, total in tallies.spans.items()],
            "undated_until": tallies.undated_until,
            "kept_from": tallies.kept_from,
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """From `as_dict`; raises KeyError, TypeError or ValueError for anything else."""
        tallies = SliceTallies(
            {str(name): int(count) for name, count in content["counts"].items()},
            {str(reason): int(records) for reason, records in content["left_out"].items()},
            {ArmDay(int(day), str(name), int(arm)): int(count) for day, name, arm, count in content["arms"]},
            {SpanDay(str(digest), int(day)): _span_total(total) for digest, day, total in content["spans"]},
            _moment(content["undated_until"]),
            _moment(content["kept_from"]),
        )
        return cls(tallies, _moment(content["newest_example"]))


class TallyShelf:
    """The tallies in one file; one process writes to it, any number read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def save(self, tallies: SliceTallies, newest_example: int) -> None:
        """Keep tallies durably that were read when the newest stored example was of this event time (ms).

        Raises StoreUnwritable.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise unwritable(self._path, fault) from fault
        write_durably(self._path, json.dumps(KeptTallies(tallies, newest_example).as_dict()).encode())

    def load(self) -> KeptTallies:
        """What was kept last; no tallies if there is no sound file."""
        try:
            return KeptTallies.from_dict(json.loads(self._path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return KeptTallies()
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            log.warning("tallies left out: their file is damaged", file=str(self._path))
            return KeptTallies()


def sources_digest(tallies: SliceTallies, explorations: Iterable[str]) -> str:
    """The SHA-256 of what a run reads beside the rows: the tallies, and the digests of the exploration settings.

    It is the same whatever order they were read in, so sums of floats, which follow from the counts, are left out.
    """
    read = KeptTallies(tallies).as_dict() | {
        "explorations": sorted(explorations),
        "arms": sorted([*key, count] for key, count in tallies.arms.items()),
        "spans": sorted([*key, total.decisions, total.units] for key, total in tallies.spans.items()),
    }
    return sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()


def _moment(value: Any) -> int | None:
    return None if value is None else int(value)


def _span_total(content: dict[str, Any]) -> SpanTotal:
    """Raises KeyError, TypeError or ValueError."""
    first, last, decisions, units = (
        int(content[name]) for name in ("first_event_time", "last_event_time", "decisions", "units")
    )
    return SpanTotal(first, last, decisions, units, float(content["rate_sum"]), float(content["square_sum"]))
