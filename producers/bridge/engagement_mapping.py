"""One source record → one engagement, or the reason why it is not one. Pure: a record always gives the same engagement.

Whether its decision can have been logged also depends on the log rates that nodes have announced.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from event_schemas import records as r
from event_schemas.bridge_section import KEY_FIELD, TIMESTAMP_FIELD, BridgeSpec
from event_schemas.errors import MalformedRecord, UnknownSchema
from event_schemas.event_bounds import (
    BoundFault,
    amount_fault,
    engagement_id_fault,
    kind_fault,
    request_id_fault,
)
from event_schemas.experiment_sections import ExperimentSpec
from event_schemas.log_record import LogRecord
from event_schemas.plausible_times import time_fault
from event_schemas.shown_text import shown
from event_schemas.units import DAY_MS
from event_schemas.user_ids import present
from producers.bridge.raised_log_rates import RaisedLogRates
from producers.bridge.sampled_requests import SampledRequests
from producers.bridge.source_decoding import Decoder
from producers.replay.log_times import epoch_millis, number_in

LONGEST_PAST_MS = 40 * 366 * DAY_MS
"""How long before its record was written an engagement may have happened: old logs are sent to topics, too."""


class BridgeFate(StrEnum):
    """How a source record ends; every record has exactly one fate."""

    BRIDGED = "bridged"
    """It is an engagement in the events log."""
    UNSAMPLED = "unsampled"
    """Its decision was not sampled, so no node can have logged it."""
    IGNORED = "ignored"
    """The experiment file says to ignore its kind."""
    DEAD_LETTER = "dead_letter"
    """It cannot be read as an engagement."""


@dataclass(frozen=True, slots=True)
class MappedRecord:
    """A record's fate. BRIDGED comes with the `engagement`, DEAD_LETTER with the `fault` and its fix in one line.

    `request_id` and `event_time` are set if they could be read.
    """

    fate: BridgeFate
    engagement: r.EngagementRecord | None = None
    fault: str = ""
    request_id: str | None = None
    event_time: int | None = None


class EngagementMapper:
    """Maps the records of one source topic as its `[[bridge]]` section says.

    `kinds` are those that the experiment declares; `raised` the log rates above the file's that nodes announce.
    """

    def __init__(
        self,
        source: BridgeSpec,
        rates: ExperimentSpec,
        decode: Decoder,
        kinds: Collection[str] = (),
        raised: RaisedLogRates | None = None,
    ) -> None:
        self._source, self._kinds = source, kinds
        self._fields = source.fields
        self._decode = decode
        self._requests = SampledRequests(rates, raised)

    def map(self, record: LogRecord) -> MappedRecord:
        """The record's fate. The request id is read first: a record without a sampled decision is not read further.

        Raises ComponentUnreachable when the schema it was written with cannot be fetched now.
        """
        request_id = event_time = None
        try:
            view = _RecordView(record, self._decoded(record))
            request_id = self._request_id(view)
            if self._source.sampled and not self._may_be_logged(request_id, view):
                return MappedRecord(BridgeFate.UNSAMPLED, request_id=request_id)
            kind = self._kind(view)
            if kind is None:
                return MappedRecord(BridgeFate.IGNORED, request_id=request_id)
            event_time = self._event_time(view)
            engagement: r.EngagementRecord = {
                "engagement_id": self._engagement_id(view),
                "request_id": request_id,
                "event_time": event_time,
                "kind": kind,
                "item_id": self._item_id(view),
                "value": self._value(view),
            }
            return MappedRecord(BridgeFate.BRIDGED, engagement, request_id=request_id, event_time=event_time)
        except (MalformedRecord, UnknownSchema, ValueError) as wrong:
            return MappedRecord(BridgeFate.DEAD_LETTER, None, str(wrong), request_id, event_time)

    def _may_be_logged(self, request_id: str, view: _RecordView) -> bool:
        return self._requests.may_be_logged(request_id, self._user_id(view), lambda: self._earliest_time(view))

    def _user_id(self, view: _RecordView) -> str | None:
        """The user, or None if the record names none as text."""
        path = self._fields.user_id
        found = None if path is None else view.get(path)
        try:
            return None if found is None else _text(str(path), found)
        except ValueError:
            return None

    def _earliest_time(self, view: _RecordView) -> int | None:
        """The time of the engagement or, if that is earlier, of its record: it was not written before it happened."""
        path, written = self._fields.event_time, view.get(TIMESTAMP_FIELD)
        when = epoch_millis(view.get(path), "ms" if path == TIMESTAMP_FIELD else self._source.time_unit)
        return min((each for each in (when, written) if each is not None), default=None)

    def _decoded(self, record: LogRecord) -> Any:
        if record.value is None:
            raise _fault("value is null (a tombstone)", "write no tombstones: an engagement cannot be deleted")
        return self._decode(record.value)

    def _request_id(self, view: _RecordView) -> str:
        request_id = _required_text(self._fields.request_id, view.get(self._fields.request_id))
        _require_none(request_id_fault(request_id))
        return request_id

    def _engagement_id(self, view: _RecordView) -> str:
        """The source's own id, else one made of topic, partition and offset: both are the same on every read."""
        path = self._fields.engagement_id
        engagement_id = view.place if path is None else _required_text(path, view.get(path))
        _require_none(engagement_id_fault(engagement_id))
        return engagement_id

    def _kind(self, view: _RecordView) -> str | None:
        """The engagement kind; None when the record must be ignored."""
        path = self._fields.kind
        found = None if path is None else view.get(path)
        if found is None:
            if self._source.defaults.kind is None:
                raise _fault(f"{path} is missing", "fill it, or set bridge.defaults.kind")
            return self._source.defaults.kind
        name = _required_text(str(path), found)
        known = self._source.kinds.get(name)
        if known is not None:
            return known
        if not self._source.kinds or self._source.other_kinds == "keep":
            if (fault := kind_fault(name, self._kinds)) is not None:
                raise _fault(fault.what, f"{fault.fix}, or name it in bridge.kinds")
            return name
        if self._source.other_kinds == "ignore":
            return None
        raise _fault(f"{path} = {shown(name)} is not in bridge.kinds", "name it there, or set bridge.other_kinds")

    def _event_time(self, view: _RecordView) -> int:
        path = self._fields.event_time
        found = view.get(path)
        when = epoch_millis(found, "ms" if path == TIMESTAMP_FIELD else self._source.time_unit)
        fix = "write ISO 8601 or a number in bridge.time_unit"
        if when is None:
            raise _fault(f"{path} = {shown(found)} is not a time", fix)
        written = view.record.append_time
        if path == TIMESTAMP_FIELD or written <= 0:
            return when
        number, unit = (when, "ms") if (spelt := number_in(found)) is None else (spelt, self._source.time_unit)
        fault = time_fault(number, written, name=path, unit=unit, longest_past_ms=LONGEST_PAST_MS)
        if fault is not None:
            raise _fault(fault, fix)
        return when

    def _item_id(self, view: _RecordView) -> str | None:
        path = self._fields.item_id
        found = None if path is None else view.get(path)
        given = None if found is None else present(_text(str(path), found))
        return self._source.defaults.item_id if given is None else given

    def _value(self, view: _RecordView) -> float:
        path = self._fields.value
        found = None if path is None else view.get(path)
        value = self._source.defaults.value if found is None else _finite(str(path), found)
        _require_none(amount_fault("value", value))
        return value


@dataclass(frozen=True, slots=True)
class _RecordView:
    """A source record and the data in its value, read by path."""

    record: LogRecord
    data: Any

    @property
    def place(self) -> str:
        """Topic, partition and offset as one text."""
        return f"{self.record.topic}/{self.record.partition}/{self.record.offset}"

    def get(self, path: str) -> Any:
        """The value at a path; None when there is none."""
        if path == KEY_FIELD:
            return self.record.key
        if path == TIMESTAMP_FIELD:
            return self.record.append_time if self.record.append_time >= 0 else None
        return value_at(self.data, path)


def value_at(data: Any, path: str) -> Any:
    """The value at a path of names joined by dots; None when there is none.

    A field whose name equals the whole path, or the rest of it, takes precedence over nested fields.
    """
    while isinstance(data, Mapping):
        if path in data:
            return data[path]
        name, _, path = path.partition(".")
        if not path:
            return None
        data = data.get(name)
    return None


def _required_text(path: str, value: Any) -> str:
    if value is None or value in ("", b""):
        raise _fault(f"{path} is missing", "fill it in the source, or map another field")
    return _text(path, value)


def _text(path: str, value: Any) -> str:
    """Text, UTF-8 bytes or a whole number as text; other numbers are refused: they have more than one spelling."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    try:
        if isinstance(value, bytes):
            return value.decode()
        if isinstance(value, str):
            value.encode()
            return value
    except UnicodeError as fault:
        raise _fault(f"{path} is not UTF-8 text: {fault}", "write UTF-8, or map another field") from fault
    raise _fault(f"{path} = {shown(value)} is not text", "map a field that contains text or a whole number")


def _finite(path: str, value: Any) -> float:
    """A number, or text that is one, as a float; true is 1 and false 0, for flags that say something happened."""
    if isinstance(value, (int, float, Decimal, str)):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number
    raise _fault(f"{path} = {shown(value)} is not a finite number", "map a field that contains a number")


def _require_none(fault: BoundFault | None) -> None:
    if fault is not None:
        raise _fault(*fault)


def _fault(what: str, fix: str) -> ValueError:
    return ValueError(f"{what} | fix: {fix}")
