"""Examples on disk: Parquet segments, next offsets and dedupe keys, committed as one.

The commit protocol (a kill between any two steps leaves the directory as the last committed manifest describes it):

1. The new rows are written to a segment file under a temporary name and synced.
   *Dies after 1:* the temporary file is removed on the next opening; the rows are read again from the log.
2. The segment gets its final name.
   *Dies after 2:* no manifest names it, so it is removed on the next opening.
3. The manifest that names it, with the offsets its rows reach to, replaces the old one atomically. **This commits.**
   *Dies after 3:* rows and offsets are there together; ingest goes on behind them.
4. Files that the new manifest no longer names (retired by age, or merged) are deleted.
   *Dies after 4 or in it:* left-overs are removed on the next opening.

A disk that is full in 1, 2 or 3 ends the append with StoreUnwritable: the unfinished files are removed, the manifest
stays the old one, and the rows are read again from the log once there is room.

The dedupe keys, request id and request time (`DecisionKey`), are in the segments themselves, so they commit with them.
The first copy of a decision's example wins; an id that is used again at another time is another decision, and kept. A
row older than the retention horizon is not taken in: its key may have been retired.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl

from learner.durable_files import publish, sync_file, writing
from learner.learner_errors import StoreMismatch, StoreUnwritable
from learner.segment_manifest import Segment, SegmentManifest
from producers.directory_lock import DirectoryLock, DirectoryTaken

REQUEST_ID = "request_request_id"
EVENT_TIME = "request_event_time"
KEY = [REQUEST_ID, EVENT_TIME]
"""The columns that make one decision."""
SMALL_SEGMENT_ROWS = 20_000
MERGE_AT = 32
READ_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class AppendCounts:
    """What became of the rows of one append."""

    stored: int = 0
    duplicate: int = 0
    expired: int = 0

    def __add__(self, other: "AppendCounts") -> "AppendCounts":
        return AppendCounts(self.stored + other.stored, self.duplicate + other.duplicate, self.expired + other.expired)


class SegmentStore:
    """The one writer of a directory of segments.

    `after_step` is called after each step of the commit protocol with its number; tests kill the process there.
    Raises StoreMismatch when the directory belongs to another topic or another process writes to it, StoreUnwritable
    when its disk does not take what is written.
    """

    def __init__(
        self,
        directory: Path,
        topic: str,
        retention_ms: int,
        after_step: Callable[[int], None] = lambda _: None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._retention_ms = retention_ms
        self._after_step = after_step
        self._lock = _exclusive(directory)
        self._manifest = SegmentManifest(topic)
        self._keys: set[tuple[Any, ...]] = set()
        self._take_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def next_offsets(self) -> Mapping[int, int]:
        """Per partition the first offset not yet taken in; partitions never read are absent."""
        return self._manifest.next_offsets

    @property
    def rows(self) -> int:
        """Rows committed."""
        return self._manifest.rows

    def append(self, frame: pl.DataFrame, next_offsets: Mapping[int, int]) -> AppendCounts:
        """Take in rows in log order, together with the offsets they reach to; atomic.

        `frame` has the flattened Example columns (no columns at all when every record was bad); `next_offsets` covers
        the partitions that moved. Returns when the commit is durable; raises StoreUnwritable, and StoreMismatch in a
        process that no longer holds the lock: after `close`, or forked from the writer.
        """
        if not self._lock.held:
            raise StoreMismatch(
                f"{self._directory}: this process is not its writer", mend="open the store in the process that writes"
            )
        fresh, counts = self._fresh_rows(frame)
        manifest = replace(self._manifest, next_offsets={**self._manifest.next_offsets, **next_offsets})
        try:
            if counts.stored:
                newest = max(int(_extreme(fresh, "max")), manifest.newest_closed or 0)
                manifest = replace(self._merge_small(manifest, fresh), newest_closed=newest)
            held, manifest = manifest, manifest.retired(self._horizon(manifest))
            manifest.save(self._directory)  # step 3: the commit
        except StoreUnwritable:
            self._take_up()
            raise
        self._manifest = manifest
        self._after_step(3)
        self._keys.update(fresh.select(KEY).rows() if counts.stored else ())
        if manifest.segments != held.segments:  # retired keys are older than any row that is still taken in
            self._keys = self._read_keys()
        self._sweep()
        self._after_step(4)
        return counts

    def frame(self) -> pl.DataFrame:
        """Every committed row."""
        return read_segments(self._directory)

    def close(self) -> None:
        """Let another process write."""
        self._lock.release()

    def _fresh_rows(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, AppendCounts]:
        if frame.height == 0:
            return frame, AppendCounts()
        kept = frame.filter(pl.col(EVENT_TIME) >= self._horizon(self._manifest))
        fresh = kept.unique(subset=KEY, keep="first", maintain_order=True)
        known = pl.Series([key in self._keys for key in fresh.select(KEY).rows()], dtype=pl.Boolean)
        fresh = fresh.filter(~known)
        return fresh, AppendCounts(fresh.height, kept.height - fresh.height, frame.height - kept.height)

    def _merge_small(self, manifest: SegmentManifest, fresh: pl.DataFrame) -> SegmentManifest:
        """The manifest with `fresh` as a new segment; many small segments are merged into it."""
        small = [segment for segment in manifest.segments if segment.rows < SMALL_SEGMENT_ROWS]
        merged = small if len(small) >= MERGE_AT else []
        parts = [pl.read_parquet(self._path(segment)) for segment in merged]
        segment = self._write_segment(_stacked([*parts, fresh]), manifest.sequence)
        kept = tuple(old for old in manifest.segments if old not in merged)
        return replace(manifest, segments=(*kept, segment), sequence=manifest.sequence + 1)

    def _write_segment(self, rows: pl.DataFrame, sequence: int) -> Segment:
        segment = Segment(
            f"{sequence:08d}.parquet", rows.height, int(_extreme(rows, "min")), int(_extreme(rows, "max"))
        )
        path = self._path(segment)
        beside = path.with_name(path.name + ".tmp")
        with writing(beside, (OSError, pl.exceptions.PolarsError)):
            rows.write_parquet(beside, compression="zstd")
            sync_file(beside)
            self._after_step(1)
            publish(beside, path)
        self._after_step(2)
        return segment

    def _horizon(self, manifest: SegmentManifest) -> int:
        return -(2**62) if manifest.newest_closed is None else manifest.newest_closed - self._retention_ms

    def _take_up(self) -> None:
        """Go on from what the disk holds, and delete what its manifest does not name.

        After a failed append that may be the new manifest: when only the last sync was refused, it is there.
        """
        self._manifest = self._committed()
        self._sweep()
        self._keys = self._read_keys()

    def _committed(self) -> SegmentManifest:
        topic = self._manifest.topic
        manifest = SegmentManifest.load(self._directory) or SegmentManifest(topic)
        if manifest.topic != topic:
            self._lock.release()
            raise StoreMismatch(
                f"{self._directory}: holds examples of topic {manifest.topic!r}, not {topic!r}",
                mend="give each experiment its own TRIMTAB_DATA_DIR",
            )
        return manifest

    def _sweep(self) -> None:
        named = {segment.name for segment in self._manifest.segments}
        for path in self._directory.glob("*.parquet*"):
            if path.name not in named:
                path.unlink()

    def _read_keys(self) -> set[tuple[Any, ...]]:
        paths = [self._path(segment) for segment in self._manifest.segments]
        return {key for path in paths for key in pl.read_parquet(path, columns=KEY).rows()}

    def _path(self, segment: Segment) -> Path:
        return self._directory / segment.name


def read_segments(directory: Path, columns: list[str] | None = None) -> pl.DataFrame:
    """The rows committed in `directory`, without taking the writer's place; an empty frame when there are none.

    A writer that merges or retires segments meanwhile makes this start over with the newer manifest.
    """
    for attempt in range(READ_ATTEMPTS):
        manifest = SegmentManifest.load(directory)
        if manifest is None or not manifest.segments:
            return pl.DataFrame()
        with suppress(FileNotFoundError):
            paths = [directory / segment.name for segment in manifest.segments]
            return _stacked([pl.read_parquet(path, columns=columns) for path in paths])
        time.sleep(0.05 * (attempt + 1))
    raise StoreMismatch(
        f"{directory}: segments named in the manifest are missing",
        mend="restore the directory from a backup, or move it away and ingest anew from the topic",
    )


def _stacked(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """The parts' rows in order; a field that an older schema version lacked is null in its rows."""
    return pl.concat(parts, how="diagonal_relaxed")


def _exclusive(directory: Path) -> DirectoryLock:
    try:
        return DirectoryLock(directory / "writer.lock")
    except DirectoryTaken as taken:
        raise StoreMismatch(
            f"{directory}: another process is writing here", mend="stop the other `trimtab learn`, or wait for it"
        ) from taken


def _extreme(frame: pl.DataFrame, which: str) -> int:
    column = frame[EVENT_TIME]
    value = column.min() if which == "min" else column.max()
    assert isinstance(value, int)
    return value
