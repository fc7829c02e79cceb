"""The decisions of one partition that are still open, and those closed but not yet forgotten.

A decision is all events of one request_id. It is *remembered* from its first event until the watermark reaches its
newest event time plus the window. That is what makes a rebuild exact, which reads the log again from the first event
of the oldest remembered decision: every remembered decision is read whole; of one that began before only some events
are read, and what the rebuild makes of those ends, as everything does, a window after its newest event at the latest,
so no later than the decision itself was forgotten.

While remembered a decision is first *open* and then closed:

- with a request, it closes when the watermark reaches request time + window;
- without one, its events expire one by one, each at its own event time + window, and the decision is forgotten with
  the last of them;
- the cap closes the one with the lowest first offset early.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from event_schemas import records as r
from stream_processors.fates import Fate
from stream_processors.input_event import InputEvent


class Decision:
    """The events held for one request_id, by record name and by engagement_id, in offset order."""

    __slots__ = ("closed", "engagements", "first_offset", "forgetting", "newest", "parts", "request_id", "watermark")

    def __init__(self, event: InputEvent, watermark: int | None) -> None:
        self.request_id = event.request_id
        self.first_offset = event.offset
        self.watermark = watermark
        """The partition's watermark before the first event."""
        self.newest = event.event_time
        """Largest event time of all its events, held or not."""
        self.parts: dict[str, InputEvent] = {}
        self.engagements: dict[str, InputEvent] = {}
        self.closed = False
        self.forgetting = False

    @property
    def request(self) -> InputEvent | None:
        """Its request, once that came."""
        return self.parts.get(r.REQUEST)

    @property
    def complete(self) -> bool:
        """Whether it makes an example: request, action and propensity are there; a ranking is optional."""
        return all(name in self.parts for name in (r.REQUEST, r.ACTION, r.PROPENSITY))

    def events(self) -> list[InputEvent]:
        """All events held, by offset."""
        return sorted([*self.parts.values(), *self.engagements.values()], key=lambda event: event.offset)

    def release(self) -> None:
        """Lets go of the events held."""
        self.parts, self.engagements = {}, {}


class Due(IntEnum):
    """What a passing watermark can bring."""

    CLOSE = 0
    EXPIRE = 1
    FORGET = 2


class Rejected(NamedTuple):
    """An event that is not held: its fate, and why."""

    fate: Fate
    detail: str


class Ended(NamedTuple):
    """A decision that closed, or (with `expired`) one event of a decision without request."""

    decision: Decision
    expired: InputEvent | None


class PendingDecisions:
    """Holds events until the watermark ends their decision. Every method takes amortised logarithmic time."""

    def __init__(self, window_ms: int, floor: int = 0) -> None:
        self._window = window_ms
        self._by_id: dict[str, Decision] = {}
        self._remembered: deque[Decision] = deque()
        self._open: deque[Decision] = deque()
        self._due: list[tuple[int, int, Due, Decision, InputEvent | None]] = []
        self.open_count = 0
        self.floor = floor
        """Decisions that began before this offset and whose window has not ended were closed early."""

    def hold(self, event: InputEvent, watermark: int | None) -> Rejected | None:
        """Adds an event that is neither late nor future; None when it is held.

        `watermark` is the one the event was judged against.
        """
        decision = self._by_id.get(event.request_id)
        if decision is None:
            decision = self._begin(event, watermark)
        elif event.event_time > decision.newest:
            decision.newest = event.event_time
        if decision.closed:
            return Rejected(Fate.ORPHAN, f"decision {event.request_id!r} had closed already")
        return self._hold_engagement(decision, event) if event.engagement else self._hold_part(decision, event)

    def advance(self, watermark: int) -> Iterator[Ended]:
        """Yields what ends now that the partition's watermark is `watermark`, in order of time and offset."""
        while self._due and self._due[0][0] <= watermark:
            _, _, due, decision, event = heapq.heappop(self._due)
            if due is Due.FORGET:
                decision.forgetting = False
                self._forget_or_wait(decision, watermark)
            elif decision.closed:
                continue
            elif due is Due.CLOSE:
                self._close(decision)
                yield Ended(decision, None)
                decision.release()
                self._forget_or_wait(decision, watermark)
            elif event is not None and decision.request is None:
                self._drop(decision, event)
                yield Ended(decision, event)
                self._forget_or_wait(decision, watermark)

    def close_beyond(self, cap: int) -> Iterator[Decision]:
        """Closes the open decisions with the lowest first offsets until no more than `cap` are open."""
        while self.open_count > cap:
            decision = self._close_first()
            yield decision
            decision.release()

    def close_before(self, floor: int) -> None:
        """Closes every open decision that began before `floor`: they were closed early before a restart."""
        while (first := self.first_open()) is not None and first.first_offset < floor:
            self._close_first().release()
        self.floor = max(self.floor, floor)

    def first_open(self) -> Decision | None:
        """The open decision with the lowest first offset."""
        while self._open and self._open[0].closed:
            self._open.popleft()
        return self._open[0] if self._open else None

    def first_remembered(self) -> Decision | None:
        """The remembered decision with the lowest first offset."""
        while self._remembered and self._by_id.get(self._remembered[0].request_id) is not self._remembered[0]:
            self._remembered.popleft()
        return self._remembered[0] if self._remembered else None

    def _begin(self, event: InputEvent, watermark: int | None) -> Decision:
        decision = self._by_id[event.request_id] = Decision(event, watermark)
        self._remembered.append(decision)
        self._open.append(decision)
        self.open_count += 1
        return decision

    def _hold_engagement(self, decision: Decision, event: InputEvent) -> Rejected | None:
        assert event.engagement is not None
        first = decision.engagements.setdefault(event.engagement.engagement_id, event)
        if first is not event:
            return Rejected(Fate.DUPLICATE, "")
        self._await_expiry(decision, event)
        return None

    def _hold_part(self, decision: Decision, event: InputEvent) -> Rejected | None:
        first = decision.parts.setdefault(event.name, event)
        if first is not event:
            if first.record.value == event.record.value:
                return Rejected(Fate.DUPLICATE, "")
            return Rejected(Fate.CONFLICT, f"another {event.name} of it came first, at offset {first.offset}")
        if event.name == r.REQUEST:
            self._push(event.event_time, decision.first_offset, Due.CLOSE, decision, None)
        else:
            self._await_expiry(decision, event)
        return None

    def _await_expiry(self, decision: Decision, event: InputEvent) -> None:
        if decision.request is None:
            self._push(event.event_time, event.offset, Due.EXPIRE, decision, event)

    def _push(self, time: int, offset: int, due: Due, decision: Decision, event: InputEvent | None) -> None:
        heapq.heappush(self._due, (time + self._window, offset, due, decision, event))

    def _drop(self, decision: Decision, event: InputEvent) -> None:
        if event.engagement:
            del decision.engagements[event.engagement.engagement_id]
        else:
            del decision.parts[event.name]

    def _close_first(self) -> Decision:
        decision = self.first_open()
        assert decision is not None
        self.floor = max(self.floor, decision.first_offset + 1)
        self._close(decision)
        self._wait_to_forget(decision)
        return decision

    def _close(self, decision: Decision) -> None:
        decision.closed = True
        self.open_count -= 1

    def _forget_or_wait(self, decision: Decision, watermark: int) -> None:
        if not decision.closed and (decision.parts or decision.engagements):
            return
        if decision.newest + self._window > watermark:
            self._wait_to_forget(decision)
        elif self._by_id.get(decision.request_id) is decision:
            del self._by_id[decision.request_id]
            if not decision.closed:
                self._close(decision)

    def _wait_to_forget(self, decision: Decision) -> None:
        if not decision.forgetting:
            decision.forgetting = True
            self._push(decision.newest, decision.first_offset, Due.FORGET, decision, None)
