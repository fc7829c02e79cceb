"""Recovers a directory of segments after damage, or after its topic was lost: `trimtab learn --reread`.

Intact segments stay. Damaged ones move to the folder `damaged`, where a person may inspect and delete them. Segments
with unusable rows move there too, after their other rows have been written to a new segment. The offsets are forgotten,
so that the whole topic is read again: rows that are already stored are dropped as second copies, and rows of damaged
segments are restored if the topic still has them.

A kill on the way leaves either the old manifest with all its files, or the new manifest and files that are not in it,
which the next opening handles (see segment_leftovers).
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl
import structlog

from event_schemas.directory_sync import sync_directory
from event_schemas.instant import utc_text
from learner.examples.durable_files import unwritable
from learner.examples.example_rule import EVENT_TIME, REQUEST_ID, ExampleRule
from learner.examples.learner_errors import ClockMismatch, StoreDamaged
from learner.examples.segment_file import examined, file_hash, segment_name, write_segment
from learner.examples.segment_manifest import MANIFEST_NAME, Segment, SegmentManifest

DAMAGED_FOLDER = "damaged"
MANY_ROWS = 1_000
"""If at least this many rows, and most of all rows, are in the future, it is more likely that the clock is wrong."""
NAMED_ROWS = 10
"""How many of the rows left out are named in the log."""
log = structlog.get_logger(__name__)


@dataclass
class _Findings:
    """The segments of a manifest: `sound` ones, `mixed` ones with rows to leave out, and `broken` files.

    `rows` is the number of readable rows; `late` of them are after the rule's time limit.
    """

    sound: list[Segment] = field(default_factory=list)
    mixed: list[Segment] = field(default_factory=list)
    broken: list[Segment] = field(default_factory=list)
    rows: int = 0
    late: int = 0


def sound_part(directory: Path, topic: str, rule: ExampleRule | None = None) -> None:
    """Keep only the intact part of `directory`, and forget the offsets; only its writer may call this.

    Without a `rule`, rows are not checked. A directory of another topic is not changed. Raises StoreUnwritable, or
    ClockMismatch if most rows would be left out because of this machine's clock.
    """
    try:
        manifest = SegmentManifest.load(directory)
    except StoreDamaged as fault:
        log.error("manifest and all segments set aside", what=fault.what)
        set_aside(directory, [directory / MANIFEST_NAME, *directory.glob("*.parquet")])
        return
    if manifest is None:
        set_aside(directory, sorted(directory.glob("*.parquet")))
    elif manifest.topic == topic:
        _keep_sound(directory, manifest, rule)


def set_aside(directory: Path, paths: Iterable[Path], prefix: str = "") -> None:
    """Move the files at `paths` to the folder for damaged files, as `prefix` + name, with a number if that is taken.

    A dangling link is moved too. Raises StoreUnwritable.
    """
    folder = directory / DAMAGED_FOLDER
    try:
        for path in paths:
            if os.path.lexists(path):
                folder.mkdir(exist_ok=True)
                path.replace(_free_name(folder, prefix + path.name))
        sync_directory(directory)
    except OSError as fault:
        raise unwritable(folder, fault) from fault


def _keep_sound(directory: Path, manifest: SegmentManifest, rule: ExampleRule | None) -> None:
    found = _Findings()
    for segment in manifest.segments:
        _examine(directory, segment, rule, found)
    _require_clock(directory, found, rule)
    kept, sequence = list(found.sound), _unused_number(directory, manifest.sequence)
    for segment in found.mixed:
        assert rule is not None
        if (rows := _usable_rows(directory, segment, rule)).height:
            kept.append(write_segment(directory, sequence, rows))
            sequence = _unused_number(directory, sequence + 1)
    names = {segment.name for segment in kept}
    replaced = {new: old for new, old in manifest.replaced.items() if new in names}
    newest = max((segment.last_event_time for segment in kept), default=None)
    sound = replace(
        manifest,
        topic_id=None,
        next_offsets={},
        segments=tuple(kept),
        newest_closed=newest,
        sequence=sequence,
        replaced=replaced,  # what a broken file replaced may be the only copy of its rows
    )
    sound.save(directory)
    set_aside(directory, [directory / segment.name for segment in (*found.broken, *found.mixed)])
    log.warning("reading the topic again from its first record", topic=sound.topic, rows_kept=sound.rows)


def _examine(directory: Path, segment: Segment, rule: ExampleRule | None, found: _Findings) -> None:
    """Read one segment completely and record the result in `found`; its rows are not kept in memory."""
    try:
        rows = examined(directory, segment)
    except (FileNotFoundError, StoreDamaged) as fault:  # a dangling link reads as missing
        what = fault.what if isinstance(fault, StoreDamaged) else "it is missing"
        log.error("segment set aside", segment=segment.name, rows=segment.rows, what=what)
        found.broken.append(segment)
        return
    found.rows += rows.height
    if rule is None or not rows.select(rule.unusable().any()).item():
        found.sound.append(replace(segment, sha256=segment.sha256 or file_hash(directory / segment.name)))
    else:
        found.mixed.append(segment)
        found.late += rows.filter(pl.col(EVENT_TIME) > rule.limit.latest()).height


def _require_clock(directory: Path, found: _Findings, rule: ExampleRule | None) -> None:
    """Raise ClockMismatch if, by the clock, many rows and most of all rows are in the future, without --not-after."""
    if rule is None or rule.limit.not_after is not None or found.late < MANY_ROWS or 2 * found.late <= found.rows:
        return
    latest = utc_text(rule.limit.latest())
    raise ClockMismatch(
        f"{directory}: {found.late} of {found.rows} stored examples are after {latest}, the latest time that this "
        "machine's clock allows",
        fix="set this machine's clock; or, if the examples are wrong, add --not-after TIME, which leaves them out",
    )


def _usable_rows(directory: Path, segment: Segment, rule: ExampleRule) -> pl.DataFrame:
    """The usable rows; the first few of the others are named in the log."""
    rows = examined(directory, segment)
    refused = rows.filter(rule.unusable())
    named = refused.head(NAMED_ROWS).select(REQUEST_ID, EVENT_TIME, rule.fault().alias("what"))
    for request_id, event_time, what in named.rows():
        log.error("stored example left out", request_id=request_id, event_time=event_time, what=what)
    log.error("segment set aside, its other rows kept", segment=segment.name, rows=rows.height, left_out=refused.height)
    return rows.filter(~rule.unusable())


def _unused_number(directory: Path, sequence: int) -> int:
    """The first number from `sequence` on that no file uses; files that are not in the manifest count too."""
    while os.path.lexists(directory / segment_name(sequence)):
        sequence += 1
    return sequence


def _free_name(folder: Path, name: str) -> Path:
    number, path = 0, folder / name
    while os.path.lexists(path):
        number += 1
        path = folder / f"{name}.{number}"
    return path
