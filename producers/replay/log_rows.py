"""Rows of an existing log, in event-time order: Parquet, CSV or JSON lines.

Only the mapped columns are kept. A file is sorted in memory by event time (stable: rows with the same time keep
their order); rows without a readable time come first. Parquet stays columnar until a row is read, so use Parquet for
large logs. All times are known before the first row is given out, so a file with times that cannot be right is refused
before anything is written (`log_times`).
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from event_schemas.json_fault import json_fault
from producers.replay.column_mapping import ColumnMapping
from producers.replay.log_times import LogFileError, epoch_millis, require_plausible, span_of

BLANK = ""
"""The fault of a line that is no row."""
CHUNK_ROWS = 2_000
COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\x00": "xz", b"PK\x03\x04": "zip"}
"""Compression formats by the first bytes of a file."""
MAY_BE_PACKED = frozenset({".parquet", ".csv", ".jsonl", ".ndjson", ".gz", ".zst", ".xz", ".zip"})
FIX_FILE = "give a readable Parquet, CSV or JSON-lines file"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LogRow:
    """One row of a log.

    `number` is its position in the file (from 0), `event_time` is in epoch milliseconds (None: unreadable). `fault`
    says why the row as a whole could not be read; `values` then holds what could be read. `time_fault` says, with the
    fix, why the event time cannot be right.
    """

    number: int
    event_time: int | None
    values: Mapping[str, Any]
    fault: str | None = None
    time_fault: str | None = None


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
    .ndjson, lacks a column of the mapping, or when most times of a column cannot be right. If a few times cannot be
    right, their rows have a `time_fault`, and the log says how many there are.
    """
    file = Path(path)
    ending = file.suffix.lower()
    if ending in MAY_BE_PACKED:
        _require_unpacked(file)
    match ending:
        case ".parquet":
            return _parquet_rows(file, mapping, limit)
        case ".csv":
            return _text_rows(file, mapping, limit, _csv_lines)
        case ".jsonl" | ".ndjson":
            return _text_rows(file, mapping, limit, _json_lines)
        case _:
            raise LogFileError(f"{file}: files with extension {ending!r} cannot be read", fix=FIX_FILE)


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
    fault_of = _time_faults(file, mapping, times, lambda column: frame[column])
    frame = frame.with_columns(
        pl.Series(number, range(frame.height), dtype=pl.Int64), pl.Series(event_time, times, dtype=pl.Int64)
    ).sort(event_time, maintain_order=True, nulls_last=False)
    frame = frame if limit is None else frame.head(limit)

    def rows() -> Iterator[LogRow]:
        for chunk in frame.iter_slices(CHUNK_ROWS):
            for values in chunk.iter_rows(named=True):
                place, time = values.pop(number), values.pop(event_time)
                yield LogRow(place, time, values, None, fault_of(time, values))

    return LogRows(file.stem, frame.height, rows)


def _text_rows(file: Path, mapping: ColumnMapping, limit: int | None, read: LineReader) -> LogRows:
    columns = mapping.columns()
    try:
        present, lines = read(file)
    except OSError as fault:
        raise LogFileError(f"{file}: cannot be read: {fault}", fix=FIX_FILE) from fault
    except UnicodeDecodeError as fault:
        raise LogFileError(f"{file}: {_not_utf8(file)}", fix="save the file as UTF-8") from fault
    _check_columns(file, columns, present)
    times = [epoch_millis(values.get(mapping.request.event_time), mapping.time_unit) for values, _ in lines]
    fault_of = _time_faults(file, mapping, times, lambda column: (values.get(column) for values, _ in lines))
    rows = []
    for number, ((values, broken), event_time) in enumerate(zip(lines, times, strict=True)):
        if broken == BLANK:
            continue
        kept = values if broken else {column: values.get(column) for column in columns}
        rows.append(LogRow(number, event_time, kept, broken, None if broken else fault_of(event_time, values)))
    rows.sort(key=lambda row: -math.inf if row.event_time is None else row.event_time)
    rows = rows if limit is None else rows[:limit]
    return LogRows(file.stem, len(rows), lambda: iter(rows))


TimeFault = Callable[[int | None, Mapping[str, Any]], str | None]
"""What is wrong with a row's event time, given that time and the row's values."""


def _time_faults(
    file: Path, mapping: ColumnMapping, times: Sequence[int | None], cells: Callable[[str], Iterable[Any]]
) -> TimeFault:
    """Checks the `times` of all rows and those of their engagements; `cells` gives a column in the file's order.

    Raises LogFileError if most times of a column cannot be right; logs how many rows have a time that cannot be right.
    """
    unit, column = mapping.time_unit, mapping.request.event_time
    require_plausible(str(file), column, unit, zip(cells(column), times, strict=True))
    for each in mapping.engagements:
        if each.event_time is not None:
            happened = zip(cells(each.count), cells(each.event_time), strict=True)
            engaged = ((value if _engaged(count) else None) for count, value in happened)
            found = ((value, epoch_millis(value, unit)) for value in engaged)
            require_plausible(str(file), each.event_time, unit, found)
    span = span_of(np.array([time for time in times if time is not None], dtype=np.int64))
    outside = sum(time is not None and time not in span for time in times)
    if outside:
        log.warning("rows with times that cannot be right become dead letters", file=file.name, rows=outside)

    def fault_of(time: int | None, values: Mapping[str, Any]) -> str | None:
        if time is not None and time in span:
            return None
        return span.fault(column, values.get(column), unit)

    return fault_of


def _engaged(count: Any) -> bool:
    try:
        return float(count) != 0
    except (TypeError, ValueError, OverflowError):
        return False


Line = tuple[dict[str, Any], str | None]
LineReader = Callable[[Path], tuple[Sequence[str], list[Line]]]


def _csv_lines(file: Path) -> tuple[Sequence[str], list[Line]]:
    """The column names, and each line's values (empty cells are null) with its fault, if any; raises LogFileError.

    A blank line is no row, but it counts in the numbers of the rows below it.
    """
    with file.open(encoding="utf-8-sig", newline="") as source:
        reader = csv.reader(source)
        lines: list[Line] = []
        try:
            names = next((cells for cells in reader if cells), [])
            for cells in reader:
                if len(cells) <= 1 and not "".join(cells).strip():
                    lines.append(({}, BLANK))
                    continue
                values = {name: cell or None for name, cell in zip(names, cells, strict=False)}
                wrong = f"line {reader.line_num} has {len(cells)} cells, the header has {len(names)}"
                lines.append((values, None if len(cells) == len(names) else wrong))
        except csv.Error as fault:
            what = f"{file}: line {reader.line_num} is not CSV: {fault}"
            raise LogFileError(what, fix="fix that line") from fault
    return names, lines


def _json_lines(file: Path) -> tuple[Sequence[str], list[Line]]:
    """The names that occur, and each line's values with its fault, if any; raises LogFileError if all are broken."""
    names: dict[str, None] = {}
    lines: list[Line] = []
    with file.open(encoding="utf-8-sig") as source:
        for number, text in enumerate(source, 1):
            if not text.strip():
                continue
            values, broken = _json_object(text)
            names.update(dict.fromkeys(values))
            lines.append((values, None) if broken is None else ({"line": text.rstrip("\n")}, f"line {number} {broken}"))
    if lines and all(broken for _, broken in lines):
        raise LogFileError(f"{file}: no line is a JSON object; {lines[0][1]}", fix="write one JSON object per line")
    return list(names), lines


def _json_object(text: str) -> tuple[dict[str, Any], str | None]:
    """The object in a line, or why there is none."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as fault:
        return {}, f"is not JSON: {json_fault(fault)}"
    return (values, None) if isinstance(values, dict) else ({}, "is JSON, but not an object")


def _require_unpacked(file: Path) -> None:
    """Raises LogFileError for a compressed file, and for one that cannot be read."""
    try:
        with file.open("rb") as source:
            start = source.read(max(map(len, COMPRESSED)))
    except OSError as fault:
        raise LogFileError(f"{file}: cannot be read: {fault}", fix=FIX_FILE) from fault
    for mark, form in COMPRESSED.items():
        if start.startswith(mark):
            raise LogFileError(f"{file}: is compressed ({form})", fix="unpack it, and give the unpacked file")


def _not_utf8(file: Path) -> str:
    """Names the first line that is not UTF-8."""
    with file.open("rb") as source:
        for number, line in enumerate(source, 1):
            try:
                line.decode()
            except UnicodeDecodeError as fault:
                return f"line {number} is not UTF-8, from its byte {fault.start + 1} on"
    return "it is not UTF-8"


def _check_columns(file: Path, columns: Sequence[str], present: Sequence[str]) -> None:
    if not present:
        raise LogFileError(f"{file}: is empty", fix=FIX_FILE)
    missing = [column for column in columns if column not in present]
    if missing:
        raise LogFileError(
            f"{file}: column {', '.join(missing)} is missing (present: {', '.join(present) or 'none'})",
            fix="correct the column's name in the mapping, or give a log that has the column",
        )
