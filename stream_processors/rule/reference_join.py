"""The join once more, slow and independent, to check the fast one against.

It decodes record by record, keeps one story per request_id, brings a story up to date only when something touches it,
and encodes whole Examples instead of splicing. It shares with the join the rule's numbers (`JoinRule`), the limits of
values (`event_limits`), the canonical spelling and the codec; nothing of its state, order or restart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from event_schemas import records as r
from event_schemas.codec import HEADER, Codec
from event_schemas.decision_key import DecisionKey
from event_schemas.errors import SchemaError
from event_schemas.log_record import LogRecord
from event_schemas.registry import without_logical_types
from stream_processors.rule.canonical_edges import CanonicalEdges
from stream_processors.rule.event_limits import fault_of
from stream_processors.rule.fates import Fate
from stream_processors.rule.join_rule import JoinRule

Place = tuple[int, int]
"""Partition and offset of an event."""


@dataclass(frozen=True)
class ReferenceResult:
    """The fate of every input event (`records.PENDING` while open) and the framed Example of every decision.

    A request_id that is used again after it was forgotten is another decision, with an example of its own.
    """

    topic: str | None
    fates: Mapping[Place, str]
    examples: Mapping[DecisionKey, bytes]


@dataclass
class _Held:
    offset: int
    name: str
    content: r.Record
    value: bytes


@dataclass
class _Story:
    """What is known of one request_id."""

    first: int
    newest: int
    held: list[_Held] = field(default_factory=list)
    closed: bool = False

    def find(self, name: str) -> _Held | None:
        return next((held for held in self.held if held.name == name), None)


def reference_join(rule: JoinRule, codec: Codec, records: Iterable[LogRecord]) -> ReferenceResult:
    """Joins whole logs (any number of partitions, each in offset order from its start)."""
    logs: defaultdict[int, list[LogRecord]] = defaultdict(list)
    for record in records:
        logs[record.partition].append(record)
    fates: dict[Place, str] = {}
    examples: dict[DecisionKey, bytes] = {}
    topic: str | None = None
    for partition, log in sorted(logs.items()):
        topic = log[0].topic
        join = _ReferenceJoin(rule, codec, partition)
        for record in log:
            join.take(record)
        join.finish()
        fates |= {(partition, offset): fate for offset, fate in join.fates.items()}
        examples |= join.examples
    return ReferenceResult(topic, fates, examples)


class _ReferenceJoin:
    def __init__(self, rule: JoinRule, codec: Codec, partition: int) -> None:
        self._rule, self._codec, self._partition = rule, codec, partition
        self._watermark: int | None = None
        self._stories: dict[str, _Story] = {}
        self.fates: dict[int, str] = {}
        self.examples: dict[DecisionKey, bytes] = {}

    def take(self, record: LogRecord) -> None:
        try:
            decoded = self._codec.decode(record.value)
        except SchemaError:
            self.fates[record.offset] = Fate.MALFORMED
            return
        name, content = decoded.name, decoded.record
        if fault_of(name, content, self._rule) or not self._well_formed(record, decoded.schema_id, content):
            self.fates[record.offset] = Fate.MALFORMED
            return
        time = content["event_time"]
        if time > record.append_time + self._rule.max_future_skew_ms:
            self.fates[record.offset] = Fate.FUTURE
            return
        if name == r.HEARTBEAT:
            self.fates[record.offset] = Fate.JOINED
        elif self._passed(time):
            self.fates[record.offset] = Fate.LATE
        else:
            self._tell(content["request_id"], _Held(record.offset, name, content, record.value or b""))
        self._watermark = time if self._watermark is None else max(self._watermark, time)
        self._apply_cap()

    def finish(self) -> None:
        """Ends every story the last watermark ended; what is left is pending."""
        for request_id in list(self._stories):
            self._bring_up_to_date(request_id)
        for story in self._stories.values():
            self.fates |= {held.offset: r.PENDING for held in story.held}

    def _well_formed(self, record: LogRecord, schema_id: int, content: r.Record) -> bool:
        request_id = content.get("request_id")
        if record.key != (None if request_id is None else request_id.encode()):
            return False
        entry = self._codec.registry.entry(schema_id)
        if entry is not self._codec.registry.newest(entry.name):
            return True
        datum = (record.value or b"")[HEADER.size :]
        return CanonicalEdges(without_logical_types(entry.schema)).fit(datum, content)

    def _passed(self, time: int) -> bool:
        """Whether a window that began at `time` is over."""
        return self._watermark is not None and time + self._rule.window_ms <= self._watermark

    def _tell(self, request_id: str, event: _Held) -> None:
        self._bring_up_to_date(request_id)
        time = event.content["event_time"]
        story = self._stories.setdefault(request_id, _Story(event.offset, time))
        story.newest = max(story.newest, time)
        if story.closed:
            self.fates[event.offset] = Fate.ORPHAN
            return
        for other in story.held:
            if event.name == other.name == r.ENGAGEMENT:
                if event.content["engagement_id"] == other.content["engagement_id"]:
                    self.fates[event.offset] = Fate.DUPLICATE
                    return
            elif event.name == other.name:
                self.fates[event.offset] = Fate.DUPLICATE if event.value == other.value else Fate.CONFLICT
                return
        story.held.append(event)

    def _bring_up_to_date(self, request_id: str) -> None:
        story = self._stories.get(request_id)
        if story is None:
            return
        request = story.find(r.REQUEST)
        if request is None:
            expired = [held for held in story.held if self._passed(held.content["event_time"])]
            self.fates |= {held.offset: Fate.ORPHAN for held in expired}
            story.held = [held for held in story.held if held not in expired]
        elif self._passed(request.content["event_time"]):
            self._end(story, request, None)
        if self._passed(story.newest):
            del self._stories[request_id]

    def _apply_cap(self) -> None:
        if len(self._stories) <= self._rule.max_pending:
            return
        for request_id in list(self._stories):
            self._bring_up_to_date(request_id)
        still_open = sorted((s for s in self._stories.values() if not s.closed), key=lambda story: story.first)
        for story in still_open[: max(0, len(still_open) - self._rule.max_pending)]:
            self._end(story, story.find(r.REQUEST), self._watermark)

    def _end(self, story: _Story, request: _Held | None, early_at: int | None) -> None:
        held, story.held, story.closed = story.held, [], True
        if request is None:
            self.fates |= {event.offset: Fate.ORPHAN for event in held}
            return
        parts = {event.name: event.content for event in held if event.name != r.ENGAGEMENT}
        complete = r.ACTION in parts and r.PROPENSITY in parts
        start = request.content["event_time"]
        counted = []
        for event in held:
            if event.name != r.ENGAGEMENT:
                continue
            if self._objectives(event.content, start):
                counted.append(event.content)
            else:
                self.fates[event.offset] = Fate.OUTSIDE
        for event in held:
            self.fates.setdefault(event.offset, Fate.JOINED if complete else Fate.INCOMPLETE)
        if complete:
            outcome = self._outcome(request, counted, early_at)
            example = {part.lower(): parts.get(part) for part in (r.REQUEST, r.ACTION, r.PROPENSITY, r.RANKING)}
            framed = self._codec.encode(r.EXAMPLE, {**example, "outcome": outcome})
            self.examples[DecisionKey.of_request(request.content)] = framed

    def _objectives(self, engagement: r.Record, start: int) -> list[str]:
        delay = engagement["event_time"] - start
        return [
            objective.name
            for objective in self._rule.objectives
            if engagement["kind"] in objective.kinds and delay >= 0 and delay <= objective.attribution_ms
        ]

    def _outcome(self, request: _Held, counted: list[r.Record], early_at: int | None) -> r.OutcomeRecord:
        start = request.content["event_time"]
        ended = start + self._rule.window_ms if early_at is None else early_at
        objectives: list[r.ObjectiveOutcomeRecord] = []
        for objective in self._rule.objectives:
            count = 0.0
            for engagement in counted:
                if objective.name in self._objectives(engagement, start):
                    count += engagement["value"]
            observed = ended >= start + objective.attribution_ms
            reward = min(count, objective.clip)
            objectives.append({"objective": objective.name, "count": count, "reward": reward, "observed": observed})
        return {
            "objectives": objectives,
            "closed_early": early_at is not None,
            "window_closed_at": ended,
            "partition": self._partition,
            "offset": request.offset,
        }
