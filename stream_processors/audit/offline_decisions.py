"""Groups the valid records of one request_id by the decisions they belong to.

Usually there is one decision. There are several if the id was used again after the join had forgotten its decision.
Each starts with its own Request: Requests whose event times differ by a window or more start different decisions.
Closer Requests are copies, of which the first counts, unless the join is known to have treated them as separate
(`apart`). The other records are assigned as follows:

- an Engagement belongs to the last decision that started at or before its time, or else to the first decision;
- an Action, Propensity or Ranking belongs to the decision whose start is nearest to its time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from event_schemas import records as r
from event_schemas.decision_key import DecisionKey
from stream_processors.rule.contradictions import OTHER, Contradictions
from stream_processors.rule.fates import Fate
from stream_processors.rule.input_event import InputEvent


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A decision without an example, or a record that is part of no decision, and the reason as of now."""

    reason: Fate
    detail: str


@dataclass(slots=True)
class OfflineDecision:
    """The known records of one decision: the first of each type, and the first Engagement of each engagement_id.

    `refused` gives the reasons why other records of the request_id do not count; `offsets` contains the offsets of all
    records, including those. An Action or Propensity that contradicts the other one is refused too.
    """

    parts: dict[str, InputEvent] = field(default_factory=dict)
    engagements: dict[str, InputEvent] = field(default_factory=dict)
    refused: list[Unresolved] = field(default_factory=list)
    offsets: set[int] = field(default_factory=set)

    @property
    def key(self) -> DecisionKey | None:
        """None if its Request is not known."""
        request = self.parts.get(r.REQUEST)
        return None if request is None else DecisionKey(request.request_id, request.event_time)

    def add(self, event: InputEvent, contradictions: Contradictions) -> None:
        """Add a record; must be called in order of offset."""
        self.offsets.add(event.offset)
        if event.engagement is not None:
            self.engagements.setdefault(event.engagement[0], event)
            return
        other = self.parts.get(OTHER.get(event.name, ""))
        if event.name not in self.parts and other is not None:
            fault = contradictions.between(event, other)
            if fault is not None:
                self.refused.append(Unresolved(Fate.MALFORMED, f"offset {event.offset}: {fault}"))
                return
        self.parts.setdefault(event.name, event)


Apart = Callable[[InputEvent], bool]
"""Whether the join treated a Request as the start of a separate decision."""


def none_apart(request: InputEvent) -> bool:
    """For use when it is not known what the join did: treats Requests less than a window apart as copies."""
    del request
    return False


def decisions_of(
    events: Iterable[InputEvent], window_ms: int, contradictions: Contradictions, apart: Apart = none_apart
) -> list[OfflineDecision]:
    """The decisions in valid events (in any order) of one request_id; at least one, in order of start."""
    in_order = sorted(events, key=lambda event: event.offset)
    begun = _beginnings((event for event in in_order if event.name == r.REQUEST), window_ms, apart)
    decisions = [OfflineDecision() for _ in begun or (None,)]
    for event in in_order:
        decisions[_place(event, begun)].add(event, contradictions)
    return decisions


def _beginnings(requests: Iterable[InputEvent], window_ms: int, apart: Apart) -> list[int]:
    """The start of each decision: the event time of its earliest Request, in order."""
    begun: list[int] = []
    for request in sorted(requests, key=lambda event: event.event_time):
        after = request.event_time - begun[-1] if begun else window_ms
        if after >= window_ms or (after > 0 and apart(request)):
            begun.append(request.event_time)
    return begun


def _place(event: InputEvent, begun: Sequence[int]) -> int:
    """The index of the decision that an event belongs to."""
    last = max(bisect_right(begun, event.event_time) - 1, 0)
    if event.engagement is not None or event.name == r.REQUEST or last + 1 >= len(begun):
        return last
    return min(last, last + 1, key=lambda place: abs(begun[place] - event.event_time))
