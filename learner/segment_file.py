"""One segment: a Parquet file that is written once and believed only while it is what was written."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from learner.learner_errors import StoreDamaged
from learner.segment_manifest import REREAD, Segment

REQUEST_ID = "request_request_id"
EVENT_TIME = "request_event_time"
KEY = [REQUEST_ID, EVENT_TIME]
"""The columns that make one decision."""


def describe(path: Path, name: str, rows: pl.DataFrame) -> Segment:
    """The segment `name` that the file at `path` holds, which `rows` have just been written to."""
    first, last = _span(rows)
    return Segment(name, rows.height, first, last, file_hash(path))


def read_segment(directory: Path, segment: Segment, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """The segment's rows, `columns` of them or all.

    Raises StoreDamaged when the file is not the one that was written, FileNotFoundError when there is none.
    """
    path = directory / segment.name
    if segment.sha256 is not None:
        _require_hash(path, segment.sha256)
    rows = _parsed(path, columns)
    if rows.height != segment.rows:
        raise _damaged(path, f"it holds {rows.height} rows, {segment.rows} were committed")
    return rows


def hashed(directory: Path, segment: Segment) -> Segment:
    """A segment of format 1 with the hash that its file has now, once that is all the manifest says of it.

    Raises StoreDamaged and FileNotFoundError as `read_segment`.
    """
    path = directory / segment.name
    rows = read_segment(directory, segment, KEY)
    if rows.height and _span(rows) != (segment.first_event_time, segment.last_event_time):
        raise _damaged(path, "its rows are of other times than were committed")
    return replace(segment, sha256=file_hash(path))


def file_hash(path: Path) -> str:
    """SHA-256 (hex) of the file's bytes; raises OSError."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def missing(path: Path) -> StoreDamaged:
    """The error for a segment that the manifest names and nobody finds."""
    return _damaged(path, "it is missing")


def _require_hash(path: Path, expected: str) -> None:
    try:
        found = file_hash(path)
    except FileNotFoundError:
        raise
    except OSError as fault:
        raise _damaged(path, f"it cannot be read: {fault.strerror}") from fault
    if found != expected:
        size = path.stat().st_size
        raise _damaged(path, f"its {size} bytes are not those that were committed (SHA-256 {found[:12]}…)")


def _parsed(path: Path, columns: Sequence[str] | None) -> pl.DataFrame:
    """The file's rows; polars reports on a broken file with many types, one of them no Exception."""
    try:
        return pl.read_parquet(path, columns=None if columns is None else list(columns))
    except FileNotFoundError:
        raise
    except (Exception, pl.exceptions.PanicException) as fault:
        reason = next(iter(str(fault).splitlines()), type(fault).__name__)
        raise _damaged(path, f"it is no readable Parquet file: {reason}") from fault


def _damaged(path: Path, what: str) -> StoreDamaged:
    return StoreDamaged(f"segment {path} is damaged: {what}", mend=REREAD)


def _span(rows: pl.DataFrame) -> tuple[int, int]:
    """The smallest and the largest event time of at least one row."""
    first, last = rows[EVENT_TIME].min(), rows[EVENT_TIME].max()
    assert isinstance(first, int) and isinstance(last, int)
    return first, last
