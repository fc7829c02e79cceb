"""Joins decisions from all their records at once, afterwards, without a watermark or lateness.

Records are validated and rewards computed by the same code as in the join. Only time is treated differently: every
available record counts, no matter when it arrived. If all records of a decision were on time, the result equals the
join's byte for byte. `offline_decisions` separates decisions that share a request_id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.decision_key import DecisionKey
from event_schemas.log_record import LogRecord
from stream_processors.audit.offline_decisions import Apart, OfflineDecision, Unresolved, decisions_of, none_apart
from stream_processors.columns.chunk_validation import ChunkValidator
from stream_processors.partition.complete_decisions import CompleteDecisions
from stream_processors.partition.example_splicing import ExampleSplicer
from stream_processors.partition.held_parts import NEEDED, ranking_in_example
from stream_processors.rule.contradictions import Contradictions
from stream_processors.rule.fates import Fate
from stream_processors.rule.input_event import InputEvent, MalformedEvent
from stream_processors.rule.join_rule import JoinRule
from stream_processors.rule.outcome_encoding import OutcomeEncoder


@dataclass(frozen=True, slots=True)
class OfflineExample:
    """A complete decision: its framed Example and the position of its Request in the events log."""

    decision: DecisionKey
    key: bytes | None
    value: bytes
    partition: int
    offset: int


class OfflineJoin:
    """Joins individual decisions by the rule of one experiment."""

    def __init__(self, rule: JoinRule, codec: Codec) -> None:
        self._rule = rule
        self._codec = codec
        self._validator = ChunkValidator(codec, rule)
        self._splicer = ExampleSplicer(codec)
        self._contradictions = Contradictions(codec, rule)

    @property
    def window_ms(self) -> int:
        """How long a decision stays open."""
        return self._rule.window_ms

    def decisions(
        self, records: Iterable[LogRecord], gone: Sequence[str] = (), apart: Apart = none_apart
    ) -> list[OfflineDecision]:
        """The decisions in the records (in any order) of one request_id in one partition; at least one.

        A record whose event time is further ahead of its append time than the allowed skew does not count, because its
        example would move the learner's horizon. `gone` describes records whose bytes are lost. Records that do not
        count may belong to any of the decisions, so each decision lists all of them as refused. `apart` returns whether
        the join treated a Request as the start of a separate decision.
        """
        refused = [Unresolved(Fate.MALFORMED, text) for text in gone]
        valid: list[InputEvent] = []
        offsets: set[int] = set()
        for record in sorted(records, key=lambda one: one.offset):
            event = self._judged(record)
            if isinstance(event, InputEvent):
                valid.append(event)
            else:
                refused.append(event)
                offsets.add(record.offset)
        found = decisions_of(valid, self.window_ms, self._contradictions, apart)
        for decision in found:
            decision.refused = [*refused, *decision.refused]
            decision.offsets |= offsets
        return found

    def join(self, decision: OfflineDecision) -> OfflineExample | Unresolved:
        """The example of one decision, or why there is none."""
        missing = [name for name in NEEDED if name not in decision.parts]
        return _why(decision, missing) if missing else self._example(decision)

    def _judged(self, record: LogRecord) -> InputEvent | Unresolved:
        event = self._validator.validate_one(record)
        if isinstance(event, MalformedEvent):
            return Unresolved(Fate.MALFORMED, f"offset {record.offset}: {event.detail}")
        ahead = event.event_time - record.append_time
        if ahead > self._rule.max_future_skew_ms:
            detail = f"offset {record.offset}: the event time of {event.name} is {ahead} ms after its append time"
            return Unresolved(Fate.FUTURE, detail)
        return event

    def _example(self, decision: OfflineDecision) -> OfflineExample:
        request, ranking = decision.parts[r.REQUEST], decision.parts.get(r.RANKING)
        needed = [decision.parts[name].datum for name in NEEDED]
        alone = CompleteDecisions(
            keys=[request.record.key or b""],
            request_offsets=[request.offset],
            request_times=[request.event_time],
            bodies=[b"".join((*needed, ranking_in_example(ranking and ranking.datum)))],
            totals=[self._totals(request, decision.engagements.values())],
            joined=0,
            outside=(),
        )
        outcomes = OutcomeEncoder(self._rule, self._codec, request.record.partition).encode(alone, None)
        (value,) = self._splicer.splice(alone, outcomes)
        key = DecisionKey(request.request_id, request.event_time)
        return OfflineExample(key, request.record.key, value, request.record.partition, request.offset)

    def _totals(self, request: InputEvent, engagements: Iterable[InputEvent]) -> tuple[float, ...]:
        """Sum of the engagement values for each objective."""
        found = ((event.engagement, event.event_time - request.event_time) for event in engagements)
        return self._rule.totals(
            (engagement[1], delay, engagement[2]) for engagement, delay in found if engagement is not None
        )


def _why(decision: OfflineDecision, missing: Sequence[str]) -> Unresolved:
    """The reason for missing parts: the first refused record, or else that the part never arrived."""
    lacking = f"no valid {' and no valid '.join(missing)}"
    if decision.refused:
        first = decision.refused[0]
        return Unresolved(first.reason, f"{lacking}; {first.detail}")
    return Unresolved(Fate.ORPHAN if r.REQUEST in missing else Fate.INCOMPLETE, lacking)
