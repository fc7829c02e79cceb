"""The definition of the join, written to be read: one event at a time, plain dicts, no speed.

The watermark of a partition is the largest event time so far. A *decision* is all events of one request_id, from the
first until it is forgotten. Each event goes through these steps, in offset order:

1. *malformed*: it is no valid record of the events topic, or its key is not its request_id. Nothing else happens.
2. *future*: event_time > append_time + skew. Nothing else happens.
3. A Heartbeat is *joined*. It only moves the watermark.
4. *late*: event_time + window ≤ watermark, whatever the state of its decision. It does not move the watermark, which
   is ahead of it. (If the decision is still open, a late event happened before the request, so no reward is lost.)
5. Its decision holds it, with four exceptions. It is an *orphan* if the decision has closed, even if it is a copy of
   what the decision held. It is a *duplicate* if the decision holds the same content, which is the same datum in the
   newest schema, or an engagement of the same engagement_id. It is a *conflict* if the decision holds another record of
   its type. An Action or Propensity is *malformed* if it contradicts the other one, which the decision holds. The first
   record is kept.
6. The watermark moves to the event's time if that is larger, and windows end. A decision with a request closes when the
   watermark reaches request time + window. Without a request, each event becomes an *orphan* by itself when the
   watermark reaches its own event_time + window. A decision is forgotten when the watermark reaches the largest event
   time of all its events, held or not, + window.
7. If more than `max_pending` decisions are open, those with the lowest first offsets close early until that many are
   left.

A decision that closes with Request, Action and Propensity gives one Example. All its parts are *joined*, and so are the
engagements that count for an objective. Without Action or Propensity all of these are *incomplete* instead. An
engagement that counts for no objective, by its delay or its kind, is *outside* in both cases, for one of the reasons
of `OutsideReason`. If a decision closes early without a request, its events are *orphans*.

`stream_processors.partition` computes the same fast, and property tests and `trimtab reconcile` compare the two. They
share the rule's numbers (`JoinRule`), the limits of values (`event_limits`), the canonical spelling and the codec. They
share no state, no order of work and no restart: this module decodes record by record, brings a decision up to date only
when an event touches it, and encodes whole Examples instead of splicing bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from event_schemas import records as r
from event_schemas.codec import HEADER, Codec, frame
from event_schemas.decision_key import DecisionKey
from event_schemas.errors import SchemaError
from event_schemas.log_record import LogRecord
from event_schemas.registry import without_logical_types
from stream_processors.rule.canonical_edges import CanonicalEdges
from stream_processors.rule.event_limits import contradiction, fault_of
from stream_processors.rule.fates import Fate
from stream_processors.rule.join_rule import JoinRule, OutsideReason

PAIR = frozenset({r.ACTION, r.PROPENSITY})
"""Records that can contradict each other."""
Place = tuple[int, int]
"""Partition and offset of an event."""


@dataclass(frozen=True)
class ReferenceResult:
    """The fate of every input event (`records.PENDING` while open) and the framed Example of every decision.

    `outside` has the reason of every event with that fate. A request_id that is used again after it was forgotten is
    another decision, with an example of its own.
    """

    topic: str | None
    fates: Mapping[Place, str]
    examples: Mapping[DecisionKey, bytes]
    outside: Mapping[Place, OutsideReason]


@dataclass(frozen=True)
class _Event:
    offset: int
    name: str
    content: r.Record
    datum: bytes
    """In the newest schema."""

    @property
    def time(self) -> int:
        return int(self.content["event_time"])


@dataclass
class _Decision:
    """One request_id: the largest time of all its events, the events it holds, whether it closed."""

    newest: int
    events: list[_Event] = field(default_factory=list)
    closed: bool = False

    @property
    def request(self) -> _Event | None:
        return next((event for event in self.events if event.name == r.REQUEST), None)


def reference_join(rule: JoinRule, codec: Codec, records: Iterable[LogRecord]) -> ReferenceResult:
    """Joins whole logs: any number of partitions, each in offset order from its start."""
    joins: dict[int, _ReferenceJoin] = {}
    topic: str | None = None
    for record in records:
        topic = record.topic
        if record.partition not in joins:
            joins[record.partition] = _ReferenceJoin(rule, codec, record.partition)
        joins[record.partition].apply(record)
    fates: dict[Place, str] = {}
    examples: dict[DecisionKey, bytes] = {}
    outside: dict[Place, OutsideReason] = {}
    for partition, join in sorted(joins.items()):
        join.finish()
        fates |= {(partition, offset): fate for offset, fate in join.fates.items()}
        examples |= join.examples
        outside |= {(partition, offset): reason for offset, reason in join.outside.items()}
    return ReferenceResult(topic, fates, examples, outside)


class _ReferenceJoin:
    """The join of one partition."""

    def __init__(self, rule: JoinRule, codec: Codec, partition: int) -> None:
        self._rule, self._codec, self._partition = rule, codec, partition
        self._watermark: int | None = None
        self._decisions: dict[str, _Decision] = {}
        """By request_id, in the order of their first offsets."""
        self.fates: dict[int, str] = {}
        self.examples: dict[DecisionKey, bytes] = {}
        self.outside: dict[int, OutsideReason] = {}

    def apply(self, record: LogRecord) -> None:
        """Steps 1 to 7 for the next record of the log."""
        event = self._valid_event(record)
        if event is None:
            self.fates[record.offset] = Fate.MALFORMED
            return
        if event.time > record.append_time + self._rule.max_future_skew_ms:
            self.fates[record.offset] = Fate.FUTURE
            return
        if event.name == r.HEARTBEAT:
            self.fates[record.offset] = Fate.JOINED
        elif self._is_over(event.time):
            self.fates[record.offset] = Fate.LATE
        else:
            self._hold(event.content["request_id"], event)
        self._watermark = event.time if self._watermark is None else max(self._watermark, event.time)
        self._apply_cap()

    def finish(self) -> None:
        """Ends every window that the last watermark ended; what decisions still hold is pending."""
        for request_id in list(self._decisions):
            self._bring_up_to_date(request_id)
        for decision in self._decisions.values():
            self.fates |= {event.offset: r.PENDING for event in decision.events}

    def _valid_event(self, record: LogRecord) -> _Event | None:
        """Step 1: the event in a record; None when it is malformed."""
        try:
            decoded = self._codec.decode(record.value)
        except SchemaError:
            return None
        name, content = decoded.name, decoded.record
        if fault_of(name, content, self._rule) is not None:
            return None
        request_id = content.get("request_id")
        if record.key != (None if request_id is None else request_id.encode()):
            return None
        value = record.value or b""
        if frame(decoded.schema_id, b"") in self._codec.lifts:
            edges = CanonicalEdges(without_logical_types(self._codec.registry.entry(decoded.schema_id).schema))
            if not edges.is_canonical(value[HEADER.size :], content):
                return None
        return _Event(record.offset, name, content, self._codec.newest_datum(value, decoded))

    def _is_over(self, time: int) -> bool:
        """Whether a window that began at `time` has ended."""
        return self._watermark is not None and time + self._rule.window_ms <= self._watermark

    def _hold(self, request_id: str, event: _Event) -> None:
        """Step 5. What step 6 has ended in this decision so far is ended first."""
        self._bring_up_to_date(request_id)
        decision = self._decisions.setdefault(request_id, _Decision(event.time))
        decision.newest = max(decision.newest, event.time)
        if decision.closed:
            self.fates[event.offset] = Fate.ORPHAN
            return
        for other in decision.events:
            if event.name == other.name == r.ENGAGEMENT:
                if event.content["engagement_id"] == other.content["engagement_id"]:
                    self.fates[event.offset] = Fate.DUPLICATE
                    return
            elif event.name == other.name:
                self.fates[event.offset] = Fate.DUPLICATE if event.datum == other.datum else Fate.CONFLICT
                return
        contents = {other.name: other.content for other in (*decision.events, event)}
        if contents.keys() >= PAIR and contradiction(contents[r.ACTION], contents[r.PROPENSITY], self._rule):
            self.fates[event.offset] = Fate.MALFORMED
            return
        decision.events.append(event)

    def _bring_up_to_date(self, request_id: str) -> None:
        """Step 6 for one decision: the windows that the watermark has ended."""
        decision = self._decisions.get(request_id)
        if decision is None:
            return
        request = decision.request
        if request is None:
            expired = [event for event in decision.events if self._is_over(event.time)]
            self.fates |= {event.offset: Fate.ORPHAN for event in expired}
            decision.events = [event for event in decision.events if not self._is_over(event.time)]
        elif self._is_over(request.time):
            self._close(decision, None)
        if self._is_over(decision.newest):
            del self._decisions[request_id]

    def _apply_cap(self) -> None:
        """Step 7."""
        if len(self._decisions) <= self._rule.max_pending:
            return
        for request_id in list(self._decisions):
            self._bring_up_to_date(request_id)
        still_open = [decision for decision in self._decisions.values() if not decision.closed]
        for decision in still_open[: max(0, len(still_open) - self._rule.max_pending)]:
            self._close(decision, self._watermark)

    def _close(self, decision: _Decision, early_at: int | None) -> None:
        """Gives every event of an open decision its fate, and makes its example if it is complete."""
        request, events = decision.request, decision.events
        decision.events, decision.closed = [], True
        if request is None:
            self.fates |= {event.offset: Fate.ORPHAN for event in events}
            return
        parts = {event.name: event for event in events if event.name != r.ENGAGEMENT}
        engagements = [event for event in events if event.name == r.ENGAGEMENT]
        counted = [event for event in engagements if self._objectives_of(event, request)]
        complete = r.ACTION in parts and r.PROPENSITY in parts
        for event in engagements:
            if event not in counted:
                self.fates[event.offset] = Fate.OUTSIDE
                delay = event.time - request.time
                self.outside[event.offset] = self._rule.outside_reason(event.content["kind"], delay)
        fate = Fate.JOINED if complete else Fate.INCOMPLETE
        self.fates |= {event.offset: fate for event in (*parts.values(), *counted)}
        if complete:
            example = {
                "request": request.content,
                "action": parts[r.ACTION].content,
                "propensity": parts[r.PROPENSITY].content,
                "ranking": parts[r.RANKING].content if r.RANKING in parts else None,
                "outcome": self._outcome(request, counted, early_at),
            }
            self.examples[DecisionKey.of_request(request.content)] = self._codec.encode(r.EXAMPLE, example)

    def _objectives_of(self, engagement: _Event, request: _Event) -> list[str]:
        """The objectives that an engagement counts for: 0 ≤ its delay after the request ≤ their attribution."""
        delay = engagement.time - request.time
        return [
            objective.name
            for objective in self._rule.objectives
            if engagement.content["kind"] in objective.kinds and delay >= 0 and delay <= objective.attribution_ms
        ]

    def _outcome(self, request: _Event, counted: list[_Event], early_at: int | None) -> r.OutcomeRecord:
        """What the engagements brought. An objective is observed if its attribution had passed at the close."""
        ended = request.time + self._rule.window_ms if early_at is None else early_at
        objectives: list[r.ObjectiveOutcomeRecord] = []
        for objective in self._rule.objectives:
            count = 0.0
            for engagement in counted:
                if objective.name in self._objectives_of(engagement, request):
                    count += engagement.content["value"]
            observed = ended >= request.time + objective.attribution_ms
            reward = min(count, objective.clip)
            objectives.append({"objective": objective.name, "count": count, "reward": reward, "observed": observed})
        return {
            "objectives": objectives,
            "closed_early": early_at is not None,
            "window_closed_at": ended,
            "partition": self._partition,
            "offset": request.offset,
        }
