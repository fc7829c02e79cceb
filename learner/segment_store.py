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

A segment is believed only while its file has the hash that was committed, the offsets only while the topic has the id
that was committed with them.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl
import structlog

from learner.durable_files import publish, sync_file, unwritable, writing
from learner.learner_errors import ExamplesLost, StoreDamaged, StoreMismatch, StoreUnwritable
from learner.segment_file import EVENT_TIME, KEY, describe, hashed, missing, read_segment
from learner.segment_manifest import REREAD, Segment, SegmentManifest
from learner.segment_salvage import sound_part
from producers.directory_lock import DirectoryLock, DirectoryTaken
from producers.topic_identity import recreated

SMALL_SEGMENT_ROWS = 20_000
MERGE_AT = 32
log = structlog.get_logger(__name__)


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

    `after_step` is called after each step of the commit protocol with its number; tests kill the process there. With
    `reread` what is damaged is set aside and the topic is read again from its first record (see segment_salvage).
    Raises StoreMismatch when the directory belongs to another topic or another process writes to it, StoreDamaged when
    a file is not what was committed, StoreUnwritable when the disk does not take what is written.
    """

    def __init__(
        self,
        directory: Path,
        topic: str,
        retention_ms: int,
        after_step: Callable[[int], None] = lambda _: None,
        reread: bool = False,
    ) -> None:
        self._directory = directory
        self._retention_ms = retention_ms
        self._after_step = after_step
        self._lock = _exclusive(directory)
        self._manifest = SegmentManifest(topic)
        self._keys: set[tuple[Any, ...]] = set()
        try:
            if reread:
                sound_part(directory, topic)
            self._take_up()
        except BaseException:
            self._lock.release()
            raise

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

    def require_topic(self, topic_id: str) -> None:
        """Raise ExamplesLost when the offsets count the records of another topic than this one."""
        kept = self._manifest
        if kept.next_offsets and kept.topic_id not in (None, topic_id):
            raise ExamplesLost(
                f"{self._directory}: {recreated(kept.topic, str(kept.topic_id), topic_id)}",
                mend="start `trimtab learn` once with --reread: it keeps what is stored and reads the new topic from "
                "its first record",
            )

    def adopt_topic(self, topic_id: str) -> None:
        """Take this as the topic that the offsets count, once `require_topic` lets it pass and the log holds them.

        Offsets that say nothing of their topic, as version 0.1.0 left them, are taken over once, and from then on say.
        """
        kept = self._manifest
        if kept.topic_id == topic_id:
            return
        self._manifest = replace(kept, topic_id=topic_id)
        if kept.next_offsets:
            log.warning("offsets of an older version taken over", topic=kept.topic, topic_id=topic_id)
            self._manifest.save(self._directory)

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
                newest = max(_newest(fresh), manifest.newest_closed or 0)
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
        """Every committed row; raises StoreDamaged."""
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
        parts = [self._read(segment) for segment in merged]
        segment = self._write_segment(_stacked([*parts, fresh]), manifest.sequence)
        kept = tuple(old for old in manifest.segments if old not in merged)
        return replace(manifest, segments=(*kept, segment), sequence=manifest.sequence + 1)

    def _write_segment(self, rows: pl.DataFrame, sequence: int) -> Segment:
        path = self._directory / segment_name(sequence)
        beside = path.with_name(path.name + ".tmp")
        with writing(beside, (OSError, pl.exceptions.PolarsError)):
            rows.write_parquet(beside, compression="zstd")
            sync_file(beside)
            segment = describe(beside, path.name, rows)
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
        self._keys = self._read_keys()
        self._sweep()

    def _committed(self) -> SegmentManifest:
        topic = self._manifest.topic
        manifest = SegmentManifest.load(self._directory)
        if manifest is None:
            self._require_no_segments()
            return SegmentManifest(topic)
        if manifest.topic != topic:
            raise StoreMismatch(
                f"{self._directory}: holds examples of topic {manifest.topic!r}, not {topic!r}",
                mend="give each experiment its own TRIMTAB_DATA_DIR",
            )
        return manifest if manifest.hashed else self._hashed(manifest)

    def _hashed(self, manifest: SegmentManifest) -> SegmentManifest:
        """A manifest of version 0.1.0 with the hashes that its files have now, saved."""
        segments = []
        for segment in manifest.segments:
            try:
                segments.append(hashed(self._directory, segment))
            except FileNotFoundError:
                raise missing(self._path(segment)) from None
        adopted = replace(manifest, segments=tuple(segments))
        adopted.save(self._directory)
        log.warning("segments of an older version taken over", segments=len(segments), rows=adopted.rows)
        return adopted

    def _require_no_segments(self) -> None:
        """Raise StoreDamaged where segments lie without a manifest; the very first one may be a dead process's."""
        found = sorted(path.name for path in self._directory.glob("*.parquet"))
        if found and found != [segment_name(0)]:
            raise StoreDamaged(
                f"{self._directory}: its manifest is missing, and {len(found)} segments are there without it",
                mend=f"restore manifest.json from a backup; or {REREAD}",
            )

    def _sweep(self) -> None:
        named = {segment.name for segment in self._manifest.segments}
        for path in self._directory.glob("*.parquet*"):
            if path.name not in named:
                with suppress(OSError):  # it is deleted on the next opening then
                    path.unlink()

    def _read_keys(self) -> set[tuple[Any, ...]]:
        return {key for segment in self._manifest.segments for key in self._read(segment, KEY).rows()}

    def _read(self, segment: Segment, columns: list[str] | None = None) -> pl.DataFrame:
        try:
            return read_segment(self._directory, segment, columns)
        except FileNotFoundError:
            raise missing(self._path(segment)) from None

    def _path(self, segment: Segment) -> Path:
        return self._directory / segment.name


def segment_name(sequence: int) -> str:
    """The file name of the segment with this number."""
    return f"{sequence:08d}.parquet"


def read_segments(directory: Path, columns: list[str] | None = None) -> pl.DataFrame:
    """The rows committed in `directory`, without taking the writer's place; an empty frame when there are none.

    A writer that merges or retires segments meanwhile makes this start over with the newer manifest. Raises
    StoreDamaged when a file is not what was committed.
    """
    manifest = SegmentManifest.load(directory)
    while manifest is not None and manifest.segments:
        try:
            return _stacked([read_segment(directory, segment, columns) for segment in manifest.segments])
        except FileNotFoundError as fault:
            read, manifest = manifest, SegmentManifest.load(directory)
            if manifest == read:  # a writer deletes files only after a manifest that no longer names them
                raise missing(Path(fault.filename or directory)) from None
    return pl.DataFrame()


def _stacked(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """The parts' rows in order; a field that an older schema version lacked is null in its rows."""
    return pl.concat(parts, how="diagonal_relaxed")


def _exclusive(directory: Path) -> DirectoryLock:
    lock = directory / "writer.lock"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return DirectoryLock(lock)
    except DirectoryTaken as taken:
        raise StoreMismatch(
            f"{directory}: another process is writing here", mend="stop the other `trimtab learn`, or wait for it"
        ) from taken
    except OSError as fault:
        raise unwritable(lock, fault) from fault


def _newest(frame: pl.DataFrame) -> int:
    newest = frame[EVENT_TIME].max()
    assert isinstance(newest, int)
    return newest
