"""Decodes framed Example records into columns; bad records are returned with the good ones, never raised."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from event_schemas.action_space import ActionSpace
from event_schemas.codec import Codec, unframe
from event_schemas.columnar import ColumnarFailure, read_datums
from event_schemas.errors import SchemaError
from event_schemas.log_record import LogRecord
from event_schemas.records import EXAMPLE
from learner.examples.example_columns import ExampleColumns, portable
from learner.examples.example_rule import EVENT_TIME, REQUEST_ID, ExampleRule
from learner.examples.time_limit import CLOCKS_APART_MS, TimeLimit

KEY_COLUMN = "record_key"
APPEND_TIME = "record_append_time"


@dataclass(frozen=True, slots=True)
class BadExample:
    """A record that is not a usable example, and the reason."""

    record: LogRecord
    detail: str
    request_id: str | None = None


@dataclass(frozen=True)
class DecodedChunk:
    """`frame` has one row per good record, in order (no columns if there are no rows); `bad` has the others."""

    frame: pl.DataFrame
    bad: tuple[BadExample, ...]


class ExampleDecoder:
    """Decodes chunks by columns, or record by record if that fails or if a record has a version of someone else.

    Records of every version that this release ships are read by columns. The rows have the columns of the newest one.
    `max_future_skew_ms` is the join's: no request can be further ahead of the append time of its example. `limit` is
    the learner's own limit and applies regardless of the append time.
    """

    def __init__(
        self, codec: Codec, space: ActionSpace, max_future_skew_ms: int = 0, limit: TimeLimit | None = None
    ) -> None:
        self._codec = codec
        self._rule = ExampleRule(space, limit or TimeLimit())
        self._furthest_ahead_ms = max_future_skew_ms + CLOCKS_APART_MS
        self._newest = codec.registry.newest(EXAMPLE)
        versions = codec.registry.versions(EXAMPLE)
        self._columns = ExampleColumns(versions)
        self._by_columns = {entry.schema_id: entry for entry in versions if self._columns.fit(entry)}

    def decode(self, records: Sequence[LogRecord]) -> DecodedChunk:
        """Decodes records; each is in exactly one of `frame` and `bad`."""
        fast = self._columnar(records)
        if fast is None:
            records, frame, bad = self._one_by_one(records)
        else:
            frame, bad = fast, ()
        if frame.height == 0:
            return DecodedChunk(frame, bad)
        described = frame.with_columns(_keys(records), _append_times(records))
        faults = _faults(described, self._rule, self._furthest_ahead_ms)
        unsound = [
            BadExample(record, fault, request_id)
            for record, fault, request_id in zip(records, faults, frame[REQUEST_ID].to_list(), strict=True)
            if fault
        ]
        good = pl.Series([not fault for fault in faults], dtype=pl.Boolean)
        return DecodedChunk(portable(frame.filter(good)), (*bad, *unsound))

    def _columnar(self, records: Sequence[LogRecord]) -> pl.DataFrame | None:
        """The rows if every record has a shipped version, can be decoded and matches its key; else None.

        The key check finds datums that are too long or too short and so shift the bytes of their neighbours.
        """
        try:
            frame = self._rows([unframe(record.value) for record in records])
        except (SchemaError, ColumnarFailure):
            return None
        borrowed = frame.height > 0 and not frame[REQUEST_ID].equals(_keys(records))
        return None if borrowed else frame

    def _rows(self, framed: Sequence[tuple[int, bytes]]) -> pl.DataFrame:
        """One row per schema id and datum, in order: each version is read by itself. Raises ColumnarFailure."""
        places: dict[int, list[int]] = {}
        for place, (schema_id, _) in enumerate(framed):
            places.setdefault(schema_id, []).append(place)
        if unread := places.keys() - self._by_columns.keys():
            raise ColumnarFailure(f"schema ids {sorted(unread)} are not read by columns", fix="decode one by one")
        parts = [
            self._columns.completed(portable(read_datums(self._by_columns[schema_id], [framed[at][1] for at in ats])))
            for schema_id, ats in places.items()
        ]
        if len(parts) < 2:
            return parts[0] if parts else pl.DataFrame()
        return pl.concat(parts)[np.argsort(np.concatenate(list(places.values())))]

    def _one_by_one(
        self, records: Sequence[LogRecord]
    ) -> tuple[Sequence[LogRecord], pl.DataFrame, tuple[BadExample, ...]]:
        datums: list[tuple[LogRecord, bytes]] = []
        bad: list[BadExample] = []
        for record in records:
            try:
                datums.append((record, self._newest_datum(record)))
            except SchemaError as fault:
                bad.append(BadExample(record, _first_line(fault)))
        try:
            return (
                [record for record, _ in datums],
                read_datums(self._newest, [datum for _, datum in datums]),
                tuple(bad),
            )
        except ColumnarFailure:  # a datum that can be decoded by itself may still not fit into columns
            good, frame, misfits = self._row_by_row(datums)
            return good, frame, (*bad, *misfits)

    def _row_by_row(
        self, datums: Sequence[tuple[LogRecord, bytes]]
    ) -> tuple[list[LogRecord], pl.DataFrame, list[BadExample]]:
        rows: list[tuple[LogRecord, pl.DataFrame]] = []
        bad: list[BadExample] = []
        for record, datum in datums:
            try:
                rows.append((record, read_datums(self._newest, [datum])))
            except ColumnarFailure as fault:
                bad.append(BadExample(record, _first_line(fault)))
        frame = pl.concat([row for _, row in rows]) if rows else pl.DataFrame()
        return [record for record, _ in rows], frame, bad

    def _newest_datum(self, record: LogRecord) -> bytes:
        """The record's datum under the newest schema; raises SchemaError for anything but an Example."""
        decoded = self._codec.decode(record.value)
        if decoded.name != EXAMPLE:
            raise SchemaError(f"is a {decoded.name}, not an Example", fix="write only Examples to this topic")
        return self._codec.encode_datum(EXAMPLE, decoded.record)


def _faults(frame: pl.DataFrame, rule: ExampleRule, furthest_ahead_ms: int) -> list[str]:
    """For each row the reason why it is unusable for any purpose, or an empty text."""
    appended, event_time = pl.col(APPEND_TIME), pl.col(EVENT_TIME)
    fault = (
        pl.when((pl.col(REQUEST_ID) != "") & pl.col(REQUEST_ID).ne_missing(pl.col(KEY_COLUMN)))
        .then(pl.lit("request_id is not the record's key"))
        .when((appended > 0) & (event_time > appended + furthest_ahead_ms))
        .then(pl.format("event_time {} is too far after {}, when the example was appended", event_time, appended))
        .otherwise(rule.fault())
    )
    return frame.select(fault.alias("fault"))["fault"].to_list()


def _first_line(fault: SchemaError) -> str:
    return next(iter(fault.what.splitlines()), "")


def _keys(records: Sequence[LogRecord]) -> pl.Series:
    keys = [None if record.key is None else record.key.decode("utf-8", "replace") for record in records]
    return pl.Series(KEY_COLUMN, keys, dtype=pl.String)


def _append_times(records: Sequence[LogRecord]) -> pl.Series:
    """The append time of each record in epoch ms; 0 or negative if the log does not have it."""
    return pl.Series(APPEND_TIME, [record.append_time for record in records], dtype=pl.Int64)
