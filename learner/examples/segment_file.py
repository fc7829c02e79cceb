"""One segment: a Parquet file that is written once and used only while it is unchanged.

The hash that was committed with it shows whether it is. Segments of format 1 have no hash. These, and all segments
during `--reread`, are read completely and checked against the columns of an example. A segment of any release gives the
columns of the newest schema version (see example_columns).
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from event_schemas.directory_sync import publish, sync_file
from learner.examples.durable_files import writing
from learner.examples.example_columns import shipped_columns
from learner.examples.example_rule import EVENT_TIME, REQUEST_ID
from learner.examples.learner_errors import StoreDamaged
from learner.examples.segment_manifest import REREAD, Segment

KEY = [REQUEST_ID, EVENT_TIME]
"""The columns that identify a decision."""


def segment_name(sequence: int) -> str:
    """The file name of segment number `sequence`."""
    return f"{sequence:08d}.parquet"


def write_segment(
    directory: Path, sequence: int, rows: pl.DataFrame, after_step: Callable[[int], None] = lambda _: None
) -> Segment:
    """Steps 1 and 2 of the commit protocol (see segment_store): write at least one row durably under the final name.

    Raises StoreUnwritable.
    """
    path = directory / segment_name(sequence)
    beside = path.with_name(path.name + ".tmp")
    with writing(beside, (OSError, pl.exceptions.PolarsError)):
        rows.write_parquet(beside, compression="zstd")
        sync_file(beside)
        segment = Segment(path.name, rows.height, *_span(rows), file_hash(beside))
        after_step(1)
        publish(beside, path)
    after_step(2)
    return segment


def read_segment(directory: Path, segment: Segment, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """The segment's rows, with all columns or only `columns`; what its schema version lacks has its default.

    Raises StoreDamaged if the file was altered, FileNotFoundError if it is missing.
    """
    if segment.sha256 is None:
        rows = examined(directory, segment)
        return rows if columns is None else rows.select(columns)
    path = directory / segment.name
    _require_hash(path, segment.sha256)
    return shipped_columns().completed(_committed_rows(path, segment, columns), columns)


def examined(directory: Path, segment: Segment) -> pl.DataFrame:
    """All rows, from a file that is checked completely even if its hash is right. Raises like `read_segment`."""
    path = directory / segment.name
    if segment.sha256 is not None:
        _require_hash(path, segment.sha256)
    rows = _committed_rows(path, segment, None)
    if fault := shipped_columns().misshapen(rows):
        raise _damaged(path, fault)
    if rows.height and _span(rows) != (segment.first_event_time, segment.last_event_time):
        raise _damaged(path, "its rows have other times than were committed")
    return shipped_columns().completed(rows)


def hashed(directory: Path, segment: Segment) -> Segment:
    """Checks a segment of format 1 and adds the current hash of its file. Raises like `read_segment`."""
    examined(directory, segment)
    return replace(segment, sha256=file_hash(directory / segment.name))


def file_hash(path: Path) -> str:
    """SHA-256 (hex) of the file's bytes; raises OSError."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def parsed(path: Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """The rows of a Parquet file, with all its columns or `columns`, without those that its schema version lacks.

    Raises StoreDamaged if it is not valid Parquet or lacks another column, FileNotFoundError if it is missing. polars
    reports a broken file with many error types, one of which does not derive from Exception.
    """
    try:
        return pl.read_parquet(path, columns=None if columns is None else _there(path, columns))
    except (FileNotFoundError, MemoryError):
        raise
    except (Exception, pl.exceptions.PanicException) as fault:
        raise _damaged(path, f"it is not a readable Parquet file: {first_line(fault)}") from fault


def _there(path: Path, columns: Sequence[str]) -> list[str]:
    """The columns without those that a file of an older schema version does not have; one at least, to count rows."""
    added = shipped_columns().added
    if not any(name in added for name in columns):
        return list(columns)
    stored = pl.read_parquet_schema(path)
    return [name for name in columns if name in stored or name not in added] or [REQUEST_ID]


def first_line(fault: BaseException) -> str:
    """The first line of polars' message, without the query plan that it may append."""
    return next(iter(str(fault).splitlines()), type(fault).__name__)


def missing(path: Path) -> StoreDamaged:
    """The error for a segment that is in the manifest but not on disk."""
    return _damaged(path, "it is missing")


def _committed_rows(path: Path, segment: Segment, columns: Sequence[str] | None) -> pl.DataFrame:
    rows = parsed(path, columns)
    if rows.height != segment.rows:
        raise _damaged(path, f"it has {rows.height} rows, but {segment.rows} were committed")
    return rows


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


def _damaged(path: Path, what: str) -> StoreDamaged:
    return StoreDamaged(f"segment {path} is damaged: {what}", fix=REREAD)


def _span(rows: pl.DataFrame) -> tuple[int, int]:
    """The smallest and the largest event time of `rows`, of which there must be at least one."""
    first, last = rows[EVENT_TIME].min(), rows[EVENT_TIME].max()
    assert isinstance(first, int) and isinstance(last, int)
    return first, last
