"""The join shared by the plain Python peers: open decisions of one partition in a dict, due times in a heap."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.peers.attribution_job import NAMES, WINDOW_MS, build_example, decode
from event_schemas import records as r

REQUEST, ENGAGEMENT, HEARTBEAT = (
    next(schema_id for schema_id, name in NAMES.items() if name == wanted)
    for wanted in (r.REQUEST, r.ENGAGEMENT, r.HEARTBEAT)
)


@dataclass(slots=True)
class OpenDecision:
    """The parts received so far by record name, the engagements by id, and the offset of the request."""

    parts: dict[str, r.Record] = field(default_factory=dict)
    engagements: dict[str, r.Record] = field(default_factory=dict)
    offset: int = -1


class OpenDecisions:
    """The open decisions of one partition. Pass its events to `take` in order, then consume `closed`."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._open: dict[str, OpenDecision] = {}
        self._due: list[tuple[int, str]] = []
        self._watermark = 0

    def take(self, value: bytes, offset: int) -> None:
        """Add one framed event."""
        schema_id, record = value[4], decode(value)
        time = record["event_time"]
        if time > self._watermark:
            self._watermark = time
        if schema_id == HEARTBEAT:
            return
        request_id = record["request_id"]
        decision = self._open.get(request_id)
        if decision is None:
            decision = self._open[request_id] = OpenDecision()
            heapq.heappush(self._due, (time + WINDOW_MS, request_id))
        elif schema_id == REQUEST:
            heapq.heappush(self._due, (time + WINDOW_MS, request_id))
        if schema_id == ENGAGEMENT:
            decision.engagements[record["engagement_id"]] = record
        elif decision.parts.setdefault(NAMES[schema_id], record) is record and schema_id == REQUEST:
            decision.offset = offset

    def closed(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Request id and Example of every decision whose window the watermark has passed."""
        while self._due and self._due[0][0] <= self._watermark:
            due, request_id = heapq.heappop(self._due)
            decision = self._open.get(request_id)
            if decision is None:
                continue
            request = decision.parts.get(r.REQUEST)
            if request is not None and request["event_time"] + WINDOW_MS > due:
                continue
            del self._open[request_id]
            if len(decision.parts) == len((r.REQUEST, r.ACTION, r.PROPENSITY)):
                yield (
                    request_id,
                    build_example(decision.parts, decision.engagements.values(), self._partition, decision.offset),
                )
