"""A bridge in memory: source and broker survive a crash, the process in between does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from event_schemas.bridge_section import BridgeSpec
from event_schemas.experiment_sections import ExperimentSpec
from event_schemas.log_record import LogRecord
from producers.bridge.engagement_mapping import BridgeFate, EngagementMapper
from producers.bridge.raised_log_rates import RaisedLogRates
from producers.bridge.source_decoding import decode_json
from producers.bridge.source_position import SourcePartition, SourcePosition
from producers.delivery.confirmed_writer import RefusedEvent, WriteUnconfirmed
from producers.delivery.outgoing_event import OutgoingEvent

TOPIC = "shop.actions"
SECTION: dict[str, Any] = {
    "topic": TOPIC,
    "other_kinds": "ignore",
    "fields": {"request_id": "request", "event_time": "at", "kind": "type", "item_id": "pin"},
    "kinds": {"SAVE": "repin"},
}
RATES = ExperimentSpec(name="bridged", salt="pepper", exploration_rate=0.3, log_rate=0.1)


def mapper(rates: ExperimentSpec = RATES, raised: RaisedLogRates | None = None, **changes: Any) -> EngagementMapper:
    """The sample's mapper for JSON values, with these fields of the section changed."""
    return EngagementMapper(BridgeSpec.model_validate({**SECTION, **changes}), rates, decode_json, raised=raised)


def action(request_id: Any = "r-1", **changes: Any) -> bytes:
    """A JSON value that is an engagement, unless changed."""
    return json.dumps({"request": request_id, "at": 1_700_000_000_000, "type": "SAVE", **changes}).encode()


def source_record(value: bytes | None, offset: int = 0, partition: int = 0, key: bytes | None = b"user") -> LogRecord:
    return LogRecord(TOPIC, partition, offset, 1_700_000_000_500, key, value)


class Crash(BaseException):
    """The process has died."""


@dataclass
class Disk:
    """What outlives a crash: the source's records, what the broker stored and what the group committed."""

    source: dict[SourcePartition, list[LogRecord]]
    stored: list[OutgoingEvent] = field(default_factory=list)
    committed: dict[SourcePartition, tuple[int, str]] = field(default_factory=dict)


class MemorySource:
    """An `EngagementSource` on a disk; `batch` records a round, `on_step` is told before and after each commit."""

    def __init__(self, disk: Disk, batch: int = 3, on_step: Callable[[], None] = lambda: None) -> None:
        self._disk, self._batch, self._on_step = disk, batch, on_step
        self.positions = {p: SourcePosition.from_commit(*disk.committed.get(p, (0, ""))) for p in disk.source}
        self._read = {place: at.next_offset for place, at in self.positions.items()}

    def poll(self) -> list[LogRecord]:
        self._on_step()
        polled = []
        for place, records in self._disk.source.items():
            fresh = records[self._read[place] : self._read[place] + self._batch]
            self._read[place] += len(fresh)
            polled += fresh
        return polled

    def mark_done(self, fates: Mapping[tuple[SourcePartition, int], BridgeFate]) -> None:
        for (place, offset), fate in fates.items():
            self.positions[place].mark_done(offset, fate)

    def commit(self) -> None:
        self._on_step()
        for place, at in self.positions.items():
            self._disk.committed[place] = (at.next_offset, at.text())
        self._on_step()

    def lags(self) -> dict[SourcePartition, int]:
        return {place: len(self._disk.source[place]) - at.next_offset for place, at in self.positions.items()}

    @property
    def finished(self) -> bool:
        return not any(self.lags().values())


class MemoryWriter:
    """An `EventWriter`; after a crash as many open events are stored as `on_crash` says; `refuses` picks refusals."""

    def __init__(
        self,
        disk: Disk,
        on_step: Callable[[], None] = lambda: None,
        on_crash: Callable[[int], int] = lambda opened: 0,
        refuses: Callable[[OutgoingEvent], bool] = lambda event: False,
    ) -> None:
        self._disk, self._on_step, self._on_crash, self._refuses = disk, on_step, on_crash, refuses
        self._open: list[tuple[OutgoingEvent, LogRecord]] = []

    def write(self, event: OutgoingEvent, origin: LogRecord) -> None:
        self._open.append((event, origin))
        self._step()

    def confirm(self) -> list[RefusedEvent]:
        self._step()
        opened, self._open = self._open, []
        self._disk.stored += [event for event, _ in opened if not self._refuses(event)]
        return [RefusedEvent(event, origin) for event, origin in opened if self._refuses(event)]

    def _step(self) -> None:
        try:
            self._on_step()
        except (Crash, WriteUnconfirmed):
            kept = self._on_crash(len(self._open))
            self._disk.stored += [event for event, _ in self._open[:kept]]
            raise
