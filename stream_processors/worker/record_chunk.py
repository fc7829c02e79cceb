"""The interface between transport and join: chunks of records, and the owner of the partitions."""

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
    reading started. Offsets between `follows` and the first record do not exist in the log. `epoch` counts how often
    reading was started or restarted; a chunk of an older epoch is void.
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
    """The group's commit and the offsets of the log for one newly assigned partition.

    `committed` is None if the group has no commit for it; `log_start` is the first offset still in the log, `log_end`
    the offset after its last record.
    """

    committed: CommitPosition | None
    log_start: int
    log_end: int


class PartitionOwner(Protocol):
    """Keeps the state of the partitions assigned to this process. Called from the event loop unless noted otherwise."""

    def take_partitions(self, epoch: int, assigned: Mapping[int, StartingPoint]) -> Mapping[int, int]:
        """Take over exactly these partitions and drop all others; returns the offset to read from for each.

        Raises LogTruncated when the log no longer contains the records that are needed.
        """
        ...

    def validate(self, chunks: Sequence[RecordColumns]) -> list[ValidatedRecords]:
        """Validate chunks just fetched. Unlike the other methods it is called from the thread that fetches: most of the
        work runs outside the interpreter lock, while the event loop joins chunks validated earlier.
        """
        ...

    def committable(self) -> Mapping[int, CommitPosition]:
        """Positions to commit: everything before them is confirmed, and they differ from the last committed ones."""
        ...

    def note_committed(self, positions: Mapping[int, CommitPosition]) -> None:
        """The group has stored these positions."""
        ...
