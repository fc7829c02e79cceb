"""Takes the rows of forgotten users out of the segments; a kill at any moment leaves something to go on with.

1. The user is written to the list of forgotten users, as pending (`ForgottenUsers`). From then on no row comes in.
2. The rows are counted in that list, and segments that have some are written again without them, under new names.
3. A manifest with the new segments replaces the old one; it names the files that they took the place of.
4. These files are deleted, and rows are taken out of files in the folder `damaged`.
5. The user is no longer pending.

After a kill in between, the next opening of the store deletes the files that the manifest names as replaced, and goes
through 2 to 5 again for whoever is pending: rows that are counted already are not counted twice.
"""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import polars as pl
import structlog

from event_schemas.directory_sync import publish, sync_file
from learner.examples.durable_files import writing
from learner.examples.example_rule import EVENT_TIME
from learner.examples.forgotten_users import READ, USER_ID, ForgottenUsers
from learner.examples.learner_errors import StoreDamaged
from learner.examples.segment_file import parsed, read_segment, write_segment
from learner.examples.segment_leftovers import delete
from learner.examples.segment_manifest import Segment, SegmentManifest
from learner.examples.segment_salvage import DAMAGED_FOLDER

log = structlog.get_logger(__name__)


class Rewritten(NamedTuple):
    """The manifest after step 2, which is to be saved, and the rows that are not in it, with the columns READ."""

    manifest: SegmentManifest
    removed: pl.DataFrame


def rewritten(directory: Path, manifest: SegmentManifest, users: ForgottenUsers) -> Rewritten:
    """Step 2. Raises StoreDamaged, StoreUnwritable, and FileNotFoundError if a segment is missing."""
    removed = list[pl.DataFrame]()
    for segment in manifest.segments:
        rows = read_segment(directory, segment, list(READ))
        if (gone := users.among(rows)).any():
            removed.append(rows.filter(gone))
            users.add_decisions(removed[-1])
            manifest = _without(directory, manifest, segment, users)
    return Rewritten(manifest, pl.concat(removed) if removed else pl.DataFrame())


def _without(directory: Path, manifest: SegmentManifest, segment: Segment, users: ForgottenUsers) -> SegmentManifest:
    """The manifest with a new segment in place of one, or with none if no row is left."""
    rows = read_segment(directory, segment)
    kept = rows.filter(~users.among(rows))
    new = (write_segment(directory, manifest.sequence, kept),) if kept.height else ()
    segments = tuple(each for old in manifest.segments for each in (new if old is segment else (old,)))
    name = new[0].name if new else segment.name
    return replace(
        manifest,
        segments=segments,
        sequence=manifest.sequence + len(new),
        replaced={**manifest.replaced, name: (*manifest.replaced.get(name, ()), segment.name)},
    )


def clean_damaged(directory: Path, users: ForgottenUsers) -> None:
    """Step 4 in the folder for damaged files; the log names files that cannot be read and may have a user's rows."""
    for path in sorted((directory / DAMAGED_FOLDER).glob("*.parquet*")):
        try:
            rows = parsed(path)
            named, timed = (rows.schema.get(name) for name in (USER_ID, EVENT_TIME))
            if named is not None and (named != pl.String or timed != pl.Int64):
                raise StoreDamaged(f"{path.name} has columns of other types", fix="delete it once nobody needs it")
        except (StoreDamaged, FileNotFoundError):
            log.warning(
                "a damaged file may have rows of a forgotten user",
                file=path.name,
                fix=f"delete it from {path.parent} once you no longer need it",
            )
            continue
        if USER_ID not in rows.columns or not (gone := users.among(rows)).any():
            continue
        if set(READ) <= set(rows.columns):
            users.add_decisions(rows.filter(gone), counted=False)  # a checkpoint may have learnt from them
        if gone.all():
            delete(path)
            continue
        beside = path.with_name(f"{path.name}.tmp")
        with writing(beside, (OSError, pl.exceptions.PolarsError)):
            rows.filter(~gone).write_parquet(beside, compression="zstd")
            sync_file(beside)
            publish(beside, path)
