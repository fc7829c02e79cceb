"""One row of an existing log → the events of one decision, or the reason why it is not one."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from event_schemas import records as r
from event_schemas.event_bounds import amount_fault, request_id_fault
from event_schemas.experiment import Experiment
from event_schemas.user_ids import present
from producers.replay.column_mapping import ColumnMapping, EngagementColumns, SyntheticDelay, fill
from producers.replay.log_rows import LogRow
from producers.replay.log_times import read_time, time_fault_of

# The logged policy drew every arm at random with its propensity; this system calls that exploration.
LOGGED_SLICE = "EXPLORE"


@dataclass(frozen=True, slots=True)
class RowEvents:
    """The records of one row, engagements in the mapping's order."""

    request: r.RequestRecord
    action: r.ActionRecord
    propensity: r.PropensityRecord
    engagements: tuple[r.EngagementRecord, ...]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is not a decision: what is wrong and how to fix it, in one line; id and time if they are known."""

    detail: str
    request_id: str | None
    event_time: int | None


class RowTranslator:
    """Translates the rows of one file. Pure, so that a second replay writes the same bytes."""

    def __init__(self, mapping: ColumnMapping, experiment: Experiment, file: str) -> None:
        self._mapping = mapping
        self._file = file
        self._space = experiment.action_space
        self._arms = {name: arm for arm, name in enumerate(self._space.arm_names)}
        self._weights = self._space.weights.tolist()
        self._required = frozenset(feature.name for feature in experiment.features.context if feature.required)
        self._embedding_dim = experiment.features.user_embedding_dim

    def translate(self, row: LogRow) -> RowEvents | BadRow:
        """The row's events, or what is wrong with it."""
        request_id = None
        if row.fault is not None:  # it names the line
            return BadRow(f"{self._file}: {row.fault} | fix: fix the line", None, row.event_time)
        try:
            values = dict(row.values)
            request_id = self._request_id(row.number, values)
            event_time = self._event_time(row)
            return RowEvents(
                self._request(request_id, event_time, values),
                self._action(request_id, event_time, row.number, values),
                self._propensity(request_id, event_time, values),
                self._engagements(request_id, event_time, values),
            )
        except ValueError as wrong:
            return BadRow(f"row {row.number} of {self._file}: {wrong}", request_id, row.event_time)

    def _request_id(self, number: int, values: dict[str, Any]) -> str:
        request_id = fill(self._mapping.request.id, self._file, number, values)
        if (fault := request_id_fault(request_id)) is not None:
            raise ValueError(str(fault))
        return request_id

    def _event_time(self, row: LogRow) -> int:
        if row.time_fault is not None:
            raise ValueError(row.time_fault)
        if row.event_time is None:
            column = self._mapping.request.event_time
            raise ValueError(time_fault_of(column, row.values.get(column), self._mapping.time_unit))
        return row.event_time

    def _request(self, request_id: str, event_time: int, values: Mapping[str, Any]) -> r.RequestRecord:
        columns = self._mapping.request
        context: list[r.ContextFeatureRecord] = []
        for name, column in columns.context.items():
            if values[column] is not None:
                context.append({"name": name, "value": _text(values[column])})
            elif name in self._required:
                raise _fault(f"{column} is missing", f"fill it, because the experiment requires {name}")
        return {
            "request_id": request_id,
            "event_time": event_time,
            "user_id": _optional_text(values, columns.user_id),
            "session_id": _optional_text(values, columns.session_id),
            "cohort": _optional_text(values, columns.cohort),
            "user_embedding": self._user_embedding(values),
            "context": context,
            "history": [],
            "previous": [],
        }

    def _user_embedding(self, values: Mapping[str, Any]) -> list[float]:
        column = self._mapping.request.user_embedding
        if column is None:
            return []
        floats = [_number(column, value) for value in _list(column, values[column])]
        if len(floats) != self._embedding_dim:
            raise _fault(f"{column} has {len(floats)} values", f"give {self._embedding_dim}, as the experiment says")
        return floats

    def _action(self, request_id: str, event_time: int, number: int, values: dict[str, Any]) -> r.ActionRecord:
        columns = self._mapping.action
        arm = self._arm(columns.arm, values[columns.arm])
        eligible = []
        if columns.eligible is not None:
            listed = _list(columns.eligible, values[columns.eligible])
            eligible = sorted({self._arm(columns.eligible, value) for value in listed})
            if eligible and arm not in eligible:
                raise _fault(
                    f"{columns.arm} = {values[columns.arm]!r} is not eligible", f"add it to {columns.eligible}"
                )
        return {
            "request_id": request_id,
            "event_time": event_time,
            "slice": LOGGED_SLICE,
            "arm": arm,
            "shadow_arm": None,
            "eligible": eligible,
            "weights": self._weights[arm],
            "action_space": self._space.digest,
            "policy_version": fill(columns.policy_version, self._file, number, values),
            "config_revision": 0,
            "experiment_arm": None,
            "fallback_reason": None,
            "shadow_weights": [],
        }

    def _arm(self, column: str, value: Any) -> int:
        if value is None:
            raise _fault(f"{column} is missing", "fill it, because a decision needs its arm")
        if self._mapping.action.arm_is == "name":
            arm = self._arms.get(_text(value))
        else:
            index = _number(column, value)
            arm = int(index) if index.is_integer() and 0 <= index < self._space.arms else None
        if arm is None:
            raise _fault(f"{column} = {value!r} is an unknown arm", "declare it in the experiment's action space")
        return arm

    def _propensity(self, request_id: str, event_time: int, values: Mapping[str, Any]) -> r.PropensityRecord:
        column = self._mapping.propensity.propensity
        propensity = _number(column, values[column])
        if not 0 < propensity <= 1:
            raise _fault(f"{column} = {values[column]!r} is not in (0, 1]", "log the probability of the chosen arm")
        return {
            "request_id": request_id,
            "event_time": event_time,
            "propensity": propensity,
            "slice_probability": 1.0,
            "sampling_rate": 1.0,
            "probabilities": [],
            "log_density": None,
            "exploration": None,
        }

    def _engagements(
        self, request_id: str, event_time: int, values: Mapping[str, Any]
    ) -> tuple[r.EngagementRecord, ...]:
        found: list[r.EngagementRecord] = []
        for place, columns in enumerate(self._mapping.engagements):
            count = _number(columns.count, values[columns.count])
            if (fault := amount_fault(columns.count, count)) is not None:
                raise ValueError(str(fault))
            if count:
                found.append(
                    {
                        "engagement_id": f"{request_id}/{columns.kind}/{place}",
                        "request_id": request_id,
                        "event_time": self._engagement_time(columns, request_id, event_time, values),
                        "kind": columns.kind,
                        "item_id": _optional_text(values, columns.item_id),
                        "value": count,
                    }
                )
        return tuple(found)

    def _engagement_time(
        self, columns: EngagementColumns, request_id: str, event_time: int, values: Mapping[str, Any]
    ) -> int:
        if columns.synthetic_delay is not None:
            return event_time + synthetic_delay_ms(columns.synthetic_delay, request_id, columns.kind)
        column = str(columns.event_time)
        return read_time(column, values[column], self._mapping.time_unit)


def synthetic_delay_ms(delay: SyntheticDelay, request_id: str, kind: str) -> int:
    """A made-up delay in [0, cap] ms: the inverse CDF of the truncated exponential at a hash of request id and kind.

    With u in [0, 1): t = −mean · ln(1 − u · (1 − e^(−cap/mean))).
    """
    digest = hashlib.sha256(b"\x00".join((b"synthetic-delay", kind.encode(), request_id.encode()))).digest()
    uniform = int.from_bytes(digest[:8], "big") / 2**64
    return min(delay.cap, int(-delay.mean * math.log1p(-uniform * -math.expm1(-delay.cap / delay.mean))))


def row_as_json(row: LogRow) -> bytes:
    """The row as UTF-8 JSON, for its dead letter; lone surrogates are escaped."""
    return json.dumps(dict(row.values), default=str, ensure_ascii=False).encode(errors="backslashreplace")


def _fault(what: str, fix: str) -> ValueError:
    return ValueError(f"{what} | fix: {fix}")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _optional_text(values: Mapping[str, Any], column: str | None) -> str | None:
    return None if column is None or values[column] is None else present(_text(values[column]))


def _list(column: str, value: Any) -> list[Any]:
    """A list, either as Parquet and JSON lines store it or as JSON text in a CSV cell."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, list):
        raise _fault(f"{column} is not a list", "write a list (in CSV, a JSON array)")
    return value


def _number(column: str, value: Any) -> float:
    if value is None:
        raise _fault(f"{column} is missing", "fill it with a number")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise _fault(f"{column} = {value!r} is not a number", "fill it with a number") from None
    if not math.isfinite(number):
        raise _fault(f"{column} = {value!r} is not finite", "fill it with a finite number")
    return number
