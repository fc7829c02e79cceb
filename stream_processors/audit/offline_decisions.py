"""The valid records of one request_id, told apart by the decisions they belong to.

Usually there is one. An id that was used again after its decision had been forgotten names several, each begun by a
Request of its own: Requests a window or more apart in event time begin different decisions. Closer ones are copies, of
which the first counts, unless the join is known to have told them `apart`. Of the other records,

- an Engagement belongs to the newest decision that had begun by its time, else to the first;
- an Action, Propensity or Ranking belongs to the decision that began nearest to its time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from event_schemas import records as r
from event_schemas.decision_key import DecisionKey
from stream_processors.rule.fates import Fate
from stream_processors.rule.input_event import InputEvent


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A decision that gives no example, or a record that counts for none, and the reason as of now."""

    reason: Fate
    detail: str


@dataclass(slots=True)
class OfflineDecision:
    """What is known of one decision: of each type the first record counts, of each engagement_id too.

    `refused` says what was wrong with further records of the same request_id; `offsets` are those of all its records,
    refused ones included.
    """

    parts: dict[str, InputEvent] = field(default_factory=dict)
    engagements: dict[str, InputEvent] = field(default_factory=dict)
    refused: Sequence[Unresolved] = ()
    offsets: set[int] = field(default_factory=set)

    @property
    def key(self) -> DecisionKey | None:
        """None while its Request is not known."""
        request = self.parts.get(r.REQUEST)
        return None if request is None else DecisionKey(request.request_id, request.event_time)

    def add(self, event: InputEvent) -> None:
        """Takes a record; to be called in the order of their offsets."""
        self.offsets.add(event.offset)
        if event.engagement is not None:
            self.engagements.setdefault(event.engagement[0], event)
        else:
            self.parts.setdefault(event.name, event)


Apart = Callable[[InputEvent], bool]
"""Whether the join took a Request for the beginning of a decision of its own."""


def none_apart(request: InputEvent) -> bool:
    """Nothing is known of what the join did."""
    del request
    return False


def decisions_of(events: Iterable[InputEvent], window_ms: int, apart: Apart = none_apart) -> list[OfflineDecision]:
    """The decisions among valid events of one request_id, in any order; at least one, the first to begin first."""
    in_order = sorted(events, key=lambda event: event.offset)
    begun = _beginnings((event for event in in_order if event.name == r.REQUEST), window_ms, apart)
    decisions = [OfflineDecision() for _ in begun or (None,)]
    for event in in_order:
        decisions[_place(event, begun)].add(event)
    return decisions


def _beginnings(requests: Iterable[InputEvent], window_ms: int, apart: Apart) -> list[int]:
    """When each decision begins, at the earliest: times of Requests, in order."""
    begun: list[int] = []
    for request in sorted(requests, key=lambda event: event.event_time):
        after = request.event_time - begun[-1] if begun else window_ms
        if after >= window_ms or (after > 0 and apart(request)):
            begun.append(request.event_time)
    return begun


def _place(event: InputEvent, begun: Sequence[int]) -> int:
    """Which of the decisions an event belongs to."""
    last = max(bisect_right(begun, event.event_time) - 1, 0)
    if event.engagement is not None or event.name == r.REQUEST or last + 1 >= len(begun):
        return last
    return min(last, last + 1, key=lambda place: abs(begun[place] - event.event_time))
