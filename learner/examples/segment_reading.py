"""Reads committed segments without the writer's lock, all together or one after the other."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import polars as pl

from learner.examples.learner_errors import StoreDamaged
from learner.examples.segment_file import first_line, missing, read_segment
from learner.examples.segment_manifest import REREAD, SegmentManifest

Found = TypeVar("Found")
"""What is made of the rows of all segments."""


def read_segments(directory: Path, columns: list[str] | None = None) -> pl.DataFrame:
    """The rows committed in `directory`, without locking it; an empty frame if there are none.

    Raises like `over_segments`.
    """

    def together(parts: Iterator[pl.DataFrame]) -> pl.DataFrame:
        frames = list(parts)
        return stacked(frames, directory) if frames else pl.DataFrame()

    return over_segments(directory, together, columns)


def over_segments(
    directory: Path,
    find: Callable[[Iterator[pl.DataFrame]], Found],
    columns: list[str] | None = None,
    span: tuple[int, int] = (-(2**62), 2**62),
) -> Found:
    """What `find` makes of the rows committed in `directory`, one segment after the other, without locking it.

    Segments without a row in the half-open span of event times (epoch ms) are skipped; the others are whole. If a
    writer deletes segments in the meantime, `find` is called again and gets all rows of the newer manifest, so it must
    not keep anything of its first call. Raises StoreDamaged if a file is not what was committed, or the manifest is
    missing.
    """
    manifest = SegmentManifest.load(directory)
    if manifest is None and segment_files(directory):
        manifest = SegmentManifest.load(directory)  # a writer may have just started: it writes its manifest first
        if manifest is None:
            raise without_manifest(directory)
    while manifest is not None:
        inside = [
            each for each in manifest.segments if each.first_event_time < span[1] and each.last_event_time >= span[0]
        ]
        try:
            return find(read_segment(directory, segment, columns) for segment in inside)
        except FileNotFoundError as fault:
            read, manifest = manifest, SegmentManifest.load(directory)
            if manifest == read:  # a writer deletes files only after they are no longer in the manifest
                raise missing(Path(fault.filename or directory)) from None
    return find(iter(()))


def stacked(parts: list[pl.DataFrame], directory: Path) -> pl.DataFrame:
    """The rows of all parts in order; a column of a newer release than this one is null in the rows that lack it.

    Raises StoreDamaged if a column has several types.
    """
    try:
        return pl.concat(parts, how="diagonal_relaxed")
    except pl.exceptions.PolarsError as fault:
        what = f"{directory}: its segments do not fit together: {first_line(fault)}"
        raise StoreDamaged(what, fix=REREAD) from fault


def segment_files(directory: Path) -> list[str]:
    """The names of all segment files there, whether a manifest names them or not."""
    return sorted(path.name for path in directory.glob("*.parquet"))


def without_manifest(directory: Path) -> StoreDamaged:
    """The error for segments without a manifest."""
    count = len(segment_files(directory))
    return StoreDamaged(
        f"{directory}: its manifest is missing, but {count} segment{'s are' if count > 1 else ' is'} there",
        fix=f"restore manifest.json from a backup; or {REREAD}",
    )
