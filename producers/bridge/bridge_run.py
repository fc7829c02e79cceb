"""Copies engagements from the company's own topics to the log: at least once, in source order, under stable ids.

The protocol, numbered as in docs/guides/bridge.md:

0. take over: continue from the group's commit (`SourceConsumer`);
1. poll: fetch up to a thousand source records (`SourceConsumer.poll`);
2. map: learn which log rates are announced (`AnnouncedSettings.catch_up`), then turn each record into an engagement, or
   a reason why it is not one, in memory (`EngagementMapper.map`);
3. write: hand engagements and dead letters to the idempotent producer under new keys (`ConfirmedWriter.write`);
4. confirm: wait until the broker has stored all of them (`ConfirmedWriter.confirm`);
5. commit: store offsets and counts in one step (`SourceConsumer.commit`).

A round ends before the next begins, so a record is never committed before its result is stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.dead_letter import MALFORMED, TOO_LARGE, dead_letter
from event_schemas.errors import MalformedRecord, TrimtabError
from event_schemas.log_record import LogRecord
from monitoring.metrics import BridgeMetrics
from producers.bridge.engagement_mapping import BridgeFate, EngagementMapper, MappedRecord
from producers.bridge.source_position import SourcePartition, SourcePosition
from producers.delivery.confirmed_writer import EventWriter, RefusedEvent, WriteUnconfirmed
from producers.delivery.outgoing_event import LARGEST_EVENT, OutgoingEvent


class NothingBridged(TrimtabError):
    """All source records of a run were bad."""


class EngagementSource(Protocol):
    """Where source records come from, for example `producers.bridge.source_consumer.SourceConsumer`."""

    positions: dict[SourcePartition, SourcePosition]
    """The partitions assigned now, and how far each is settled."""

    def poll(self) -> list[LogRecord]:
        """The next records that are not settled yet; may be empty."""

    def mark_done(self, fates: Mapping[tuple[SourcePartition, int], BridgeFate]) -> None:
        """Marks these records as settled: their results are stored."""

    def commit(self) -> None:
        """Stores the offsets and counts of settled records so that they survive this process."""

    def lags(self) -> Mapping[SourcePartition, int]:
        """Records not settled yet, per assigned partition."""

    @property
    def finished(self) -> bool:
        """Whether every record present at the start is settled."""


@dataclass(frozen=True)
class BridgeParts:
    """The parts of a bridge: where records come from, how they are read, and where they go."""

    source: EngagementSource
    mappers: Mapping[str, EngagementMapper]
    """One per source topic."""
    codec: Codec
    writer: EventWriter
    events_topic: str
    dead_letters_topic: str
    metrics: BridgeMetrics
    catch_up: Callable[[], None] = lambda: None
    """Learns what producers have announced; called before the records of a round are mapped."""


class Bridge:
    """The bridge as one process runs it; several share the partitions."""

    def __init__(self, parts: BridgeParts) -> None:
        self._parts = parts
        self._shown: set[SourcePartition] = set()
        self.fates: Counter[BridgeFate] = Counter()
        """Records settled by this process, by fate."""
        self._first_fault = ""

    def run(self, stopping: Callable[[], bool], until_end: bool = False) -> None:
        """Runs rounds until `stopping`, or, with `until_end`, until every record present at the start is settled.

        Raises WriteUnconfirmed, SourceUnreadable, RightMissing or ComponentUnreachable; the current round is then not
        committed.
        """
        source = self._parts.source
        while not stopping() and not (until_end and source.finished):
            self._round(source.poll())  # 1
            self._show_lags()
        source.commit()

    def require_good_records(self) -> None:
        """Raises NothingBridged when there were source records and all of them became dead letters."""
        bad = self.fates[BridgeFate.DEAD_LETTER]
        if bad and bad == self.fates.total():
            raise NothingBridged(
                f"all {bad:,} source records became dead letters; {self._first_fault}",
                fix="fix the [[bridge]] section or the records' writer; `trimtab dead-letters list` shows every record",
            )

    def summary(self) -> dict[str, Any]:
        """What this process did, and what the group has done in total per assigned partition, as plain values."""
        totals: dict[str, dict[str, dict[str, int]]] = {}
        for place, position in sorted(self._parts.source.positions.items()):
            counts = {fate.value: position.fates[fate] for fate in BridgeFate}
            totals.setdefault(place.topic, {})[str(place.partition)] = {"next_offset": position.next_offset, **counts}
        return {
            "records": self.fates.total(),
            "fates": {fate.value: self.fates[fate] for fate in BridgeFate},
            "committed": totals,
        }

    def _round(self, records: list[LogRecord]) -> None:
        if not records:
            self._parts.writer.confirm()  # a broken writer raises here even when there is nothing to write
            return
        self._parts.catch_up()
        fates = {_place(record): self._send(record) for record in records}  # 2, 3
        fates |= self._settle_refusals(self._parts.writer.confirm())  # 4
        self._parts.source.mark_done(fates)
        self._parts.source.commit()  # 5
        counted = Counter(fates.values())
        self.fates += counted
        for fate, number in counted.items():
            self._parts.metrics.events.labels(fate.value).inc(number)

    def _send(self, record: LogRecord) -> BridgeFate:
        """Maps one record and writes its result. Returns its fate, which changes if the broker refuses the result."""
        mapped = self._map(record)
        if mapped.engagement is None:
            if mapped.fate is BridgeFate.DEAD_LETTER:
                self._write_letter(record, mapped, MALFORMED, mapped.fault)
            return mapped.fate
        try:
            value = self._parts.codec.encode(r.ENGAGEMENT, mapped.engagement)
        except MalformedRecord as fault:
            return self._write_letter(record, mapped, MALFORMED, str(fault))
        if len(value) > LARGEST_EVENT:
            detail = f"engagement of {len(value)} bytes, more than {LARGEST_EVENT} | fix: map shorter fields"
            return self._write_letter(record, mapped, TOO_LARGE, detail)
        key = mapped.engagement["request_id"].encode()
        self._parts.writer.write(OutgoingEvent(self._parts.events_topic, key, value, r.ENGAGEMENT), record)
        return mapped.fate

    def _map(self, record: LogRecord) -> MappedRecord:
        return self._parts.mappers[record.topic].map(record)

    def _settle_refusals(self, refusals: list[RefusedEvent]) -> dict[tuple[SourcePartition, int], BridgeFate]:
        """Turns engagements that the broker refuses into dead letters; raises WriteUnconfirmed for a refused letter."""
        fates = {}
        for refusal in refusals:
            _raise_for_letter(refusal)
            detail = f"engagement of {len(refusal.event.value)} bytes refused by {refusal.event.topic}"
            mapped = self._map(refusal.origin)
            fates[_place(refusal.origin)] = self._write_letter(refusal.origin, mapped, TOO_LARGE, detail)
        if fates:
            for refusal in self._parts.writer.confirm():
                _raise_for_letter(refusal)
        return fates

    def _write_letter(self, record: LogRecord, mapped: MappedRecord, reason: str, detail: str) -> BridgeFate:
        place = f"{record.topic}[{record.partition}] offset {record.offset}"
        self._first_fault = self._first_fault or f"{place}: {detail}"
        letter = dead_letter(record, reason, detail, mapped.request_id, mapped.event_time)
        value = self._parts.codec.encode(r.DEAD_LETTER, letter)
        event = OutgoingEvent(self._parts.dead_letters_topic, letter["key"], value, r.DEAD_LETTER)
        self._parts.writer.write(event, record)
        return BridgeFate.DEAD_LETTER

    def _show_lags(self) -> None:
        """Sets the lag gauges of the assigned partitions and removes those of other partitions."""
        lags, gauge = self._parts.source.lags(), self._parts.metrics.lag
        for place, lag in lags.items():
            gauge.labels(place.topic, str(place.partition)).set(lag)
        for place in self._shown - lags.keys():
            gauge.remove(place.topic, str(place.partition))
        self._shown = set(lags)


def _place(record: LogRecord) -> tuple[SourcePartition, int]:
    return SourcePartition(record.topic, record.partition), record.offset


def _raise_for_letter(refusal: RefusedEvent) -> None:
    """Raises WriteUnconfirmed for a refused dead letter: the topic was not made by `trimtab topics create`.

    Dead letters are built to fit any topic that this command makes.
    """
    if refusal.event.record == r.DEAD_LETTER:
        origin = refusal.origin
        raise WriteUnconfirmed(
            f"{refusal.event.topic} refuses the dead letter of {origin.topic}[{origin.partition}] offset"
            f" {origin.offset}, {len(refusal.event.value)} bytes",
            fix=f"raise max.message.bytes of {refusal.event.topic} to 4194304, as `trimtab topics create` makes it",
        )
