"""Examples on disk: Parquet segments, next offsets and dedupe keys, committed together.

The commit protocol (after a kill between any two steps, the last committed manifest still describes the directory):

1. The new rows are written to a segment file with a temporary name and synced.
   *If it dies after 1:* the next opening deletes the temporary file; the rows are read again from the log.
2. The segment gets its final name.
   *If it dies after 2:* the file is in no manifest, so the next opening sets it aside; the rows are read again.
3. A manifest with the segment and the offsets after its rows replaces the old one atomically. **This commits.**
   *If it dies after 3:* rows and offsets are committed together; ingest continues after them.
4. Files that are no longer in the manifest (expired or merged) are deleted.
   *If it dies during or after 4:* the next opening deletes them, because all their rows are stored or too old.

Small segments are merged as new rows come (see segment_compaction), without the rows that have expired. The manifest
names what a merged segment took the place of until those files are deleted. A late example goes to the newest segment,
whatever its time: readers choose segments by the times of their rows.

The first opening commits an empty manifest, so segments without a manifest always mean damage. A file is never deleted
while it may contain the only copy of a row (see segment_leftovers).

If the disk is full in 1, 2 or 3, the append fails with StoreUnwritable: the unfinished files are deleted, the old
manifest stays, and the rows are read again from the log once there is room.

The dedupe keys, request id and request time (`DecisionKey`), are in the segments, so they are committed with them. The
first copy of a decision's example wins; an id that is used again at another time is another decision and is kept. A row
older than the retention horizon is not stored, because its key may already have been deleted.

A segment is only used while its file has the committed hash, and the offsets only while the topic has the committed id.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl
import structlog

from event_schemas.directory_lock import DirectoryLock, DirectoryTaken
from event_schemas.instant import utc_text
from learner.examples.durable_files import unwritable
from learner.examples.example_rule import EVENT_TIME, REQUEST_ID, ExampleRule
from learner.examples.forgetting import clean_damaged, rewritten
from learner.examples.forgotten_users import ForgottenUsers
from learner.examples.learner_errors import ClockMismatch, ExamplesLost, StoreMismatch, StoreUnwritable
from learner.examples.segment_compaction import to_merge
from learner.examples.segment_file import KEY, hashed, missing, read_segment, segment_name, write_segment
from learner.examples.segment_leftovers import delete, settle_leftovers
from learner.examples.segment_manifest import Segment, SegmentManifest
from learner.examples.segment_reading import segment_files, stacked, without_manifest
from learner.examples.segment_salvage import sound_part
from learner.examples.stored_keys import StoredKeys
from learner.examples.time_limit import CLOCKS_APART_MS
from producers.topics import recreated

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AppendCounts:
    """The rows of one append, by fate."""

    stored: int = 0
    duplicate: int = 0
    expired: int = 0
    forgotten: int = 0


class SegmentStore:
    """The only writer of a directory of segments.

    `after_step` is called after each step of the commit protocol with its number; tests kill the process there. With
    `reread`, damaged files are set aside, rows that are unusable by `rule` are left out, and the topic is read again
    from its first record (see segment_salvage).
    Raises StoreMismatch if the directory belongs to another topic or another process writes to it, StoreDamaged if a
    file is not what was committed, StoreUnwritable if the disk cannot be written.
    """

    def __init__(
        self,
        directory: Path,
        topic: str,
        retention_ms: int,
        after_step: Callable[[int], None] = lambda _: None,
        reread: bool = False,
        rule: ExampleRule | None = None,
    ) -> None:
        self._directory = directory
        self._retention_ms = retention_ms
        self._after_step = after_step
        self._rule = rule
        self._lock = _exclusive(directory)
        self._manifest = SegmentManifest(topic)
        self._keys = StoredKeys()
        try:
            if reread:
                sound_part(directory, topic, rule)
            self._forgotten = ForgottenUsers(directory, topic)
            self._take_up()
            self._settle()
            self._removed = self._carry_out() if self._forgotten.pending else pl.DataFrame()
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def next_offsets(self) -> Mapping[int, int]:
        """For each partition the first offset not yet ingested; partitions that were never read are absent."""
        return self._manifest.next_offsets

    @property
    def rows(self) -> int:
        """The number of committed rows."""
        return self._manifest.rows

    def require_topic(self, topic_id: str) -> None:
        """Raise ExamplesLost if the committed offsets belong to a topic with another id."""
        kept = self._manifest
        if kept.next_offsets and kept.topic_id not in (None, topic_id):
            raise ExamplesLost(
                f"{self._directory}: {recreated(kept.topic, str(kept.topic_id), topic_id)}",
                fix="start `trimtab learn` once with --reread: it keeps the stored examples and reads the new topic "
                "from its first record",
            )

    def require_times(self) -> None:
        """Raise ClockMismatch if a stored example is more than a day after the rule's time limit.

        Such an example would make all examples expire that are older than it by more than the retention.
        """
        latest, newest = None if self._rule is None else self._rule.limit.latest(), self._manifest.newest_closed
        if latest is None or newest is None or newest - CLOCKS_APART_MS <= latest:
            return
        raise ClockMismatch(
            f"{self._directory}: a stored example is from {utc_text(newest)}; this machine's clock allows at most "
            f"{utc_text(latest)}",
            fix="set this machine's clock; or, if the example is wrong, start `trimtab learn` once with --reread: it "
            "leaves the example out and reads the examples again that expired because of it",
        )

    def adopt_topic(self, topic_id: str) -> None:
        """Record the id of the topic to which the offsets belong, after `require_topic` and the source accepted it.

        Offsets of version 0.1.0 have no topic id; they are accepted once and get the id here.
        """
        kept = self._manifest
        if kept.topic_id == topic_id:
            return
        self._manifest = replace(kept, topic_id=topic_id)
        if kept.next_offsets:
            log.warning("offsets of an older version taken over", topic=kept.topic, topic_id=topic_id)
            self._manifest.save(self._directory)

    def append(self, frame: pl.DataFrame, next_offsets: Mapping[int, int]) -> AppendCounts:
        """Store rows in log order together with the offsets after them, atomically.

        `frame` has the flattened Example columns (no columns at all if every record was bad); `next_offsets` has the
        partitions that were read. Returns when the commit is durable. Raises StoreUnwritable, or StoreMismatch in a
        process that does not hold the lock, because of `close` or because it was forked from the writer.
        """
        self._require_lock()
        fresh, counts = self._fresh_rows(frame)
        before, written = self._manifest, fresh
        manifest = replace(before.pruned(self._directory), next_offsets={**before.next_offsets, **next_offsets})
        try:
            if counts.stored:
                manifest, written = self._merged(replace(manifest, newest_closed=self._newest_with(fresh)), fresh)
            manifest = manifest.retired(self._horizon(manifest))
            manifest.save(self._directory)  # step 3: the commit
        except StoreUnwritable:
            self._take_up()
            self._sweep(before)
            raise
        self._manifest = manifest
        self._after_step(3)
        if counts.stored:
            self._keys.add(segment_name(before.sequence), written)
        self._keys.only(self._names())
        self._tell_expired(before.rows + counts.stored - manifest.rows)
        self._sweep(before)
        self._after_step(4)
        return counts

    def forget_user(self, user: str, until: int) -> pl.DataFrame:
        """Remove all rows of a user with request times up to `until` (epoch ms), and refuse them from now on.

        Returns the removed rows with the columns `forgotten_users.READ` (none at all if no row was stored); also those
        that this opening removed because an earlier process died in their midst. Raises StoreDamaged, StoreUnwritable.
        """
        self._require_lock()
        self._forgotten.add(user, until)
        parts = [part for part in (self._removed, self._carry_out()) if part.height]
        return pl.concat(parts) if parts else pl.DataFrame()

    def _carry_out(self) -> pl.DataFrame:
        """Steps 2 to 5 of `forgetting`; returns the removed rows."""
        before = self._manifest
        try:
            manifest, removed = rewritten(self._directory, before.pruned(self._directory), self._forgotten)
            if manifest.segments != before.segments:
                manifest.save(self._directory)
        except StoreUnwritable:
            self._take_up()
            self._settle()
            raise
        self._after_step(3)
        self._take_up()
        self._settle()
        clean_damaged(self._directory, self._forgotten)
        self._after_step(4)
        self._forgotten.expire(self._horizon(self._manifest))
        self._forgotten.mark_carried_out()
        return removed

    def _require_lock(self) -> None:
        if not self._lock.held:
            raise StoreMismatch(
                f"{self._directory}: this process does not hold its lock", fix="open the store in the writing process"
            )

    def close(self) -> None:
        """Release the lock so that another process can write."""
        self._lock.release()

    def _fresh_rows(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, AppendCounts]:
        if frame.height == 0:
            return frame, AppendCounts()
        recent = frame.filter(pl.col(EVENT_TIME) >= self._horizon(self._manifest))
        forgotten = self._forgotten.among(recent)
        self._forgotten.add_decisions(recent.filter(forgotten))
        kept = recent.filter(~forgotten)
        fresh = kept.unique(subset=KEY, keep="first", maintain_order=True)
        fresh = fresh.filter(~self._keys.are_stored(fresh))
        second, expired = kept.height - fresh.height, frame.height - recent.height
        return fresh, AppendCounts(fresh.height, second, expired, recent.height - kept.height)

    def _merged(self, manifest: SegmentManifest, fresh: pl.DataFrame) -> tuple[SegmentManifest, pl.DataFrame]:
        """The manifest with a new segment, and its rows: `fresh` and those of segments that are due to be merged."""
        merged = to_merge(manifest.segments)
        horizon = self._horizon(manifest)
        parts = [self._read(segment).filter(pl.col(EVENT_TIME) >= horizon) for segment in merged]
        rows = stacked([*parts, fresh], self._directory)
        segment = write_segment(self._directory, manifest.sequence, rows, self._after_step)
        kept = tuple(old for old in manifest.segments if old not in merged)
        replaced = {segment.name: tuple(old.name for old in merged)} if merged else {}
        return replace(
            manifest,
            segments=(*kept, segment),
            sequence=manifest.sequence + 1,
            replaced={**manifest.replaced, **replaced},
        ), rows

    def _tell_expired(self, examples: int) -> None:
        """Says how many rows the last commit deleted because of their age."""
        if examples:
            kept_from = utc_text(self._horizon(self._manifest))
            log.info("examples older than learner.retention deleted", examples=examples, kept_from=kept_from)

    def _horizon(self, manifest: SegmentManifest) -> int:
        return -(2**62) if manifest.newest_closed is None else manifest.newest_closed - self._retention_ms

    def _newest_with(self, fresh: pl.DataFrame) -> int:
        """The largest event time of any example, including `fresh`; logs a row that makes all others expire."""
        newest, before = _newest(fresh), self._manifest.newest_closed
        if before is not None and newest - self._retention_ms > before:
            log.warning(
                "every example stored so far expires: one is newer than all of them by more than the retention",
                request_id=fresh.filter(pl.col(EVENT_TIME) == newest)[REQUEST_ID][0],
                event_time=newest,
                fix="if its time is wrong, start once with --once --reread --not-after TIME, which leaves it out",
            )
        return newest if before is None else max(newest, before)

    def _take_up(self) -> None:
        """Load the state from the disk.

        After a failed append, this may already be the new manifest, if only the last sync failed.
        """
        self._manifest = self._committed()
        self._keys = StoredKeys()
        for segment in self._manifest.segments:
            self._keys.add(segment.name, self._read(segment, KEY))

    def _settle(self) -> None:
        """Delete the files that a kill left and that are not needed; set the others aside."""
        for name in self._manifest.superseded - self._names():
            delete(self._directory / name)
        settle_leftovers(self._directory, self._names(), self._keys.lacking, self._horizon(self._manifest))

    def _committed(self) -> SegmentManifest:
        topic = self._manifest.topic
        manifest = SegmentManifest.load(self._directory)
        if manifest is None:
            if segment_files(self._directory) not in ([], [segment_name(0)]):
                raise without_manifest(self._directory)  # version 0.1.0 left one if it was killed in its first commit
            manifest = SegmentManifest(topic)
            manifest.save(self._directory)
        if manifest.topic != topic and not manifest.segments and not manifest.next_offsets:
            return replace(manifest, topic=topic, topic_id=None)  # nothing was ever read from the other topic
        if manifest.topic != topic:
            raise StoreMismatch(
                f"{self._directory} has examples of topic {manifest.topic!r}, not {topic!r}",
                fix="give each experiment its own TRIMTAB_DATA_DIR",
            )
        return manifest if manifest.hashed else self._hashed(manifest)

    def _hashed(self, manifest: SegmentManifest) -> SegmentManifest:
        """Adds the current hashes of its files to a manifest of version 0.1.0 and saves it."""
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

    def _sweep(self, before: SegmentManifest) -> None:
        """Delete obsolete files after an append: expired or merged ones of `before`, or an uncommitted one."""
        there = {*(segment.name for segment in before.segments), segment_name(before.sequence)}
        for name in there - self._names():
            delete(self._directory / name)

    def _names(self) -> set[str]:
        return {segment.name for segment in self._manifest.segments}

    def _read(self, segment: Segment, columns: list[str] | None = None) -> pl.DataFrame:
        try:
            return read_segment(self._directory, segment, columns)
        except FileNotFoundError:
            raise missing(self._path(segment)) from None

    def _path(self, segment: Segment) -> Path:
        return self._directory / segment.name


def _exclusive(directory: Path) -> DirectoryLock:
    lock = directory / "writer.lock"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return DirectoryLock(lock)
    except DirectoryTaken as taken:
        raise StoreMismatch(
            f"{directory}: another process writes to it", fix="stop the other `trimtab learn`, or wait for it"
        ) from taken
    except OSError as fault:
        raise unwritable(lock, fault) from fault


def _newest(frame: pl.DataFrame) -> int:
    newest = frame[EVENT_TIME].max()
    assert isinstance(newest, int)
    return newest
