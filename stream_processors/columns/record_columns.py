"""Records of one partition's log as columns: what the join reads, without an object for each record."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from event_schemas.log_record import LogRecord


@dataclass(slots=True)
class RecordColumns:
    """Records of one partition in offset order, with one entry for each record in every list.

    The fields mean what those of `LogRecord` mean.
    """

    topic: str
    partition: int
    offsets: list[int] = field(default_factory=list)
    append_times: list[int] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)

    @classmethod
    def of(cls, records: Sequence[LogRecord]) -> RecordColumns:
        """The columns of records of one partition."""
        if not records:
            return cls("", 0)
        topics, partitions, *columns = zip(*records, strict=True)
        return cls(topics[0], partitions[0], *map(list, columns))

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def end(self) -> int:
        """The offset after the last record; there must be one."""
        return self.offsets[-1] + 1

    def record(self, place: int) -> LogRecord:
        """One of the records as an object."""
        return LogRecord(
            self.topic,
            self.partition,
            self.offsets[place],
            self.append_times[place],
            self.keys[place],
            self.values[place],
        )

    def part(self, start: int, stop: int) -> RecordColumns:
        """The records at these places."""
        places = slice(start, stop)
        return RecordColumns(
            self.topic,
            self.partition,
            self.offsets[places],
            self.append_times[places],
            self.keys[places],
            self.values[places],
        )

    def place_of(self, offset: int) -> int:
        """The place of the first record at or after an offset; the length when there is none."""
        return bisect_left(self.offsets, offset)
