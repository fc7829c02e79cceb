"""What passes between the transport and the join: chunks of records, and who owns the partitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from stream_processors.columns.record_columns import RecordColumns
from stream_processors.columns.validated_records import ValidatedRecords
from stream_processors.partition.commit_position import CommitPosition


@dataclass(frozen=True, slots=True)
class RecordChunk:
    """Records of one partition in offset order, at least one.

    `follows` is the offset that reading had reached before this chunk: the end of the previous chunk, or where
    reading started. Offsets between `follows` and the first record do not exist in the log. `epoch` counts the times
    reading was (re)started; a chunk of an older epoch is void.
    """

    epoch: int
    partition: int
    follows: int
    validated: ValidatedRecords

    @property
    def end(self) -> int:
        """The offset after the last record."""
        return self.validated.records.end


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """What the group and the log say about one newly assigned partition.

    `committed` is None when the group never committed there; `log_start` and `log_end` are the first offset the log
    still holds and the one after its last record.
    """

    committed: CommitPosition | None
    log_start: int
    log_end: int


class PartitionOwner(Protocol):
    """Holds the state of the partitions that this process was assigned. Calls come from the event loop, if not said."""

    def take_partitions(self, epoch: int, assigned: Mapping[int, StartingPoint]) -> Mapping[int, int]:
        """Take over exactly these partitions, drop all others; returns the offset to read from for each.

        Raises LogTruncated when the log no longer holds what is needed.
        """
        ...

    def validate(self, chunks: Sequence[RecordColumns]) -> list[ValidatedRecords]:
        """Judge chunks just fetched. Unlike all other calls it comes from the thread that fetches: most of the work
        is done outside the interpreter's lock, while the event loop joins what was validated before.
        """
        ...

    def committable(self) -> Mapping[int, CommitPosition]:
        """Positions to commit: everything before them is confirmed, and they differ from what was committed last."""
        ...

    def note_committed(self, positions: Mapping[int, CommitPosition]) -> None:
        """The group has stored these positions."""
        ...
