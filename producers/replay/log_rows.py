"""Rows of an existing log, in event-time order: Parquet, CSV or JSON lines.

Only the mapped columns are kept. A file is sorted in memory by event time (stable: rows with the same time keep
their order); rows without a readable time come first. Parquet stays columnar until a row is read, so use Parquet for
large logs.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from event_schemas.errors import SettingError, TrimtabError
from event_schemas.instant import epoch_ms, parse_instant
from event_schemas.number_bounds import EXACT_INTEGERS
from producers.replay.column_mapping import ColumnMapping

MILLIS_PER_UNIT = {"s": 1_000.0, "ms": 1.0, "us": 0.001}
NUMBER = re.compile(r"-?\d+(\.\d+)?")
CHUNK_ROWS = 2_000
LAST_MILLIS = EXACT_INTEGERS
"""About the year 287,000: event time plus any window fits into 64 bits."""
FIX_FILE = "give a readable Parquet, CSV or JSON-lines file"


class LogFileError(TrimtabError):
    """A log file that cannot be read or lacks a mapped column."""


@dataclass(frozen=True, slots=True)
class LogRow:
    """One row of a log.

    `number` is its position in the file (from 0), `event_time` is in epoch milliseconds (None: unreadable). `fault`
    says why the row as a whole could not be read; `values` then holds what could be read.
    """

    number: int
    event_time: int | None
    values: Mapping[str, Any]
    fault: str | None = None


@dataclass(frozen=True)
class LogRows:
    """The rows of one file; `file` is its name without extension, `total` their number. Iterable more than once."""

    file: str
    total: int
    source: Callable[[], Iterator[LogRow]]

    def __iter__(self) -> Iterator[LogRow]:
        return self.source()


def read_rows(path: str | Path, mapping: ColumnMapping, limit: int | None = None) -> LogRows:
    """The rows of `path` in event-time order; only the first `limit` rows if it is given.

    Raises LogFileError when the file cannot be read, has an extension other than .parquet, .csv, .jsonl or
    .ndjson, or lacks a column of the mapping.
    """
    file = Path(path)
    match file.suffix.lower():
        case ".parquet":
            return _parquet_rows(file, mapping, limit)
        case ".csv":
            return _text_rows(file, mapping, limit, _csv_lines)
        case ".jsonl" | ".ndjson":
            return _text_rows(file, mapping, limit, _json_lines)
        case ending:
            raise LogFileError(f"{file}: files with extension {ending!r} cannot be read", fix=FIX_FILE)


def epoch_millis(value: Any, unit: str) -> int | None:
    """A time from a log as milliseconds since the epoch, rounded down; None when the value is not a time.

    Reads datetimes and ISO 8601 texts (UTC unless they say otherwise), and numbers, or texts that are
    numbers, in `unit` ("s", "ms" or "us"). Numbers beyond ±`LAST_MILLIS` do not count as times.
    """
    if isinstance(value, str):
        try:
            if NUMBER.fullmatch(value) is None:
                return parse_instant(value, "time")
            value = float(value) if "." in value else int(value)
        except (SettingError, ValueError):  # no time, or a number of thousands of digits
            return None
    if isinstance(value, datetime):
        return epoch_ms(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LAST_MILLIS:
        millis = math.floor(value * MILLIS_PER_UNIT[unit])
        return millis if abs(millis) <= LAST_MILLIS else None
    return None


def _parquet_rows(file: Path, mapping: ColumnMapping, limit: int | None) -> LogRows:
    import polars as pl  # an optional dependency: only a Parquet replay needs it

    columns = mapping.columns()
    try:
        scanned = pl.scan_parquet(file)
        _check_columns(file, columns, scanned.collect_schema().names())
        frame = scanned.select(columns).collect()
    except LogFileError:
        raise
    except (Exception, pl.exceptions.PanicException) as fault:  # polars raises many types for a broken file
        raise LogFileError(f"{file}: cannot be read: {fault}", fix=FIX_FILE) from fault
    number, event_time = "__number", "__event_time"
    times = [epoch_millis(value, mapping.time_unit) for value in frame[mapping.request.event_time]]
    frame = frame.with_columns(
        pl.Series(number, range(frame.height), dtype=pl.Int64), pl.Series(event_time, times, dtype=pl.Int64)
    ).sort(event_time, maintain_order=True, nulls_last=False)
    frame = frame if limit is None else frame.head(limit)

    def rows() -> Iterator[LogRow]:
        for chunk in frame.iter_slices(CHUNK_ROWS):
            for values in chunk.iter_rows(named=True):
                yield LogRow(values.pop(number), values.pop(event_time), values)

    return LogRows(file.stem, frame.height, rows)


def _text_rows(file: Path, mapping: ColumnMapping, limit: int | None, read: LineReader) -> LogRows:
    columns = mapping.columns()
    try:
        present, lines = read(file)
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        raise LogFileError(f"{file}: cannot be read: {fault}", fix=FIX_FILE) from fault
    _check_columns(file, columns, present)
    rows = []
    for number, (values, broken) in enumerate(lines):
        event_time = epoch_millis(values.get(mapping.request.event_time), mapping.time_unit)
        kept = values if broken else {column: values.get(column) for column in columns}
        rows.append(LogRow(number, event_time, kept, broken))
    rows.sort(key=lambda row: -math.inf if row.event_time is None else row.event_time)
    rows = rows if limit is None else rows[:limit]
    return LogRows(file.stem, len(rows), lambda: iter(rows))


Line = tuple[dict[str, Any], str | None]
LineReader = Callable[[Path], tuple[Sequence[str], list[Line]]]


def _csv_lines(file: Path) -> tuple[Sequence[str], list[Line]]:
    """The column names, and each line's values (empty cells are null) with its fault, if any."""
    with file.open(encoding="utf-8-sig", newline="") as source:
        reader = csv.reader(source)
        names = next(reader, [])
        lines: list[Line] = []
        for cells in reader:
            values = {name: cell or None for name, cell in zip(names, cells, strict=False)}
            fits = len(cells) == len(names)
            lines.append((values, None if fits else f"line has {len(cells)} cells, the header has {len(names)}"))
    return names, lines


def _json_lines(file: Path) -> tuple[Sequence[str], list[Line]]:
    """The names that occur, and each line's values with its fault, if any."""
    names: dict[str, None] = {}
    lines: list[Line] = []
    with file.open(encoding="utf-8") as source:
        for text in filter(str.strip, source):
            try:
                values = json.loads(text)
            except (ValueError, RecursionError) as fault:
                lines.append(({"line": text.rstrip("\n")}, f"line is not JSON: {fault}"))
                continue
            if isinstance(values, dict):
                names.update(dict.fromkeys(values))
                lines.append((values, None))
            else:
                lines.append(({"line": text.rstrip("\n")}, "line is not a JSON object"))
    return list(names), lines


def _check_columns(file: Path, columns: Sequence[str], present: Sequence[str]) -> None:
    missing = [column for column in columns if column not in present]
    if missing:
        raise LogFileError(
            f"{file}: column {', '.join(missing)} is missing (present: {', '.join(present) or 'none'})",
            fix="correct the column's name in the mapping, or give a log that has the column",
        )
