"""The newest tally of each source, its tables still encoded: most tallies are superseded before anyone needs those."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from event_schemas.log_record import LogRecord
from event_schemas.units import MEBIBYTE

MOST_BYTES = 256 * MEBIBYTE
"""Encoded tallies held at a time; a day of a process with 1,000 arms has about 30 kB."""


class NewestTally(NamedTuple):
    """What a source said last and before.

    `counts` by slice of its newest tally and of the one before it (None if there is none), the newest tally itself,
    None if it was let go, and its event time (ms).
    """

    counts: Mapping[str, int]
    counts_before: Mapping[str, int] | None
    record: LogRecord | None
    event_time: int = 0


class NewestTallies:
    """Keeps what each source said last. Memory is bounded: beyond `most_bytes`, tallies of the sources not heard of for
    longest are let go, and only their counts by slice remain."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._newest: dict[str, NewestTally] = {}
        self._held: OrderedDict[str, int] = OrderedDict()
        self.let_go = 0
        """How many sources' tallies were let go."""

    def __iter__(self) -> Iterator[tuple[str, NewestTally]]:
        """Each source with its newest tally."""
        return iter(self._newest.items())

    def add(self, source: str, counts: Mapping[str, int], record: LogRecord, event_time: int = 0) -> None:
        """Take in the next tally of a source."""
        before = self._newest.get(source)
        self._newest[source] = NewestTally(counts, None if before is None else before.counts, record, event_time)
        size = len(record.value or b"")
        self._bytes += size - self._held.pop(source, 0)
        self._held[source] = size
        while self._bytes > self._most_bytes:
            oldest, freed = self._held.popitem(last=False)
            self._bytes -= freed
            self._newest[oldest] = self._newest[oldest]._replace(record=None)
            self.let_go += 1
