"""The join: each rule by itself, then any log against the reference, then any log cut and restarted anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from event_schemas import records as r
from event_schemas.log_record import LogRecord
from stream_processors.columns.chunk_validation import ChunkValidator
from stream_processors.columns.record_columns import RecordColumns
from stream_processors.partition import columnar_holding as plain_events
from stream_processors.partition import partition_join, pending_decisions
from stream_processors.partition.commit_position import CommitPosition, CommitUnreadable
from stream_processors.partition.partition_join import Emission, PartitionJoin, StepResult
from stream_processors.rule.fates import SILENT, Fate
from stream_processors.rule.reference_join import ReferenceResult, reference_join
from tests.stream_processors.event_log import (
    CLICK_MS,
    CODEC,
    SKEW_MS,
    WINDOW_MS,
    EventLog,
    examples_by_decision,
    small_rule,
)
from tests.stream_processors.event_strategies import LogWriter, Move, described, histories, moves, written


def joined(log: EventLog, cap: int = 1000) -> StepResult:
    return PartitionJoin(small_rule(cap), CODEC, 0).process(log.records)


def example(emission: Emission) -> r.Record:
    assert emission.kind == "example"
    return CODEC.decode(emission.value).record


def test_a_complete_decision_without_engagement_gives_one_example_with_zero_rewards() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.heartbeat(100 + WINDOW_MS)
    result = joined(log)
    (emission,) = result.emissions
    assert (emission.key, emission.request_id, emission.source_offset, emission.reason) == (b"a", "a", 0, None)
    assert example(emission)["outcome"] == {
        "objectives": [
            {"objective": "click", "count": 0.0, "reward": 0.0, "observed": True},
            {"objective": "save", "count": 0.0, "reward": 0.0, "observed": True},
        ],
        "closed_early": False,
        "window_closed_at": 100 + WINDOW_MS,
        "partition": 0,
        "offset": 0,
    }
    assert example(emission)["ranking"] is None
    assert result.fates == {Fate.JOINED: 4}
    assert result.examples == 1


def test_rewards_are_sums_clipped_inside_each_objectives_window() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.ranking("a", 100)
    for number, (kind, delay, value) in enumerate(
        [("click", 0, 1.0), ("click", CLICK_MS, 1.0), ("click", CLICK_MS + 1, 1.0), ("tap", CLICK_MS + 1, 2.0)]
    ):
        log.engagement("a", 100 + delay, kind=kind, value=value, engagement_id=f"e{number}")
    log.heartbeat(1000)
    result = joined(log)
    content = example(result.emissions[0])
    objectives = {o["objective"]: (o["count"], o["reward"]) for o in content["outcome"]["objectives"]}
    assert objectives == {"click": (2.0, 1.0), "save": (2.0, 2.0)}
    assert content["ranking"]["ranker_version"] == "r1"
    assert result.fates == {Fate.JOINED: 8, Fate.OUTSIDE: 1}


def test_parts_and_engagements_may_come_in_any_order() -> None:
    log = EventLog()
    log.engagement("a", 101)
    log.propensity("a", 100)
    log.action("a", 100)
    log.request("a", 100)
    log.heartbeat(1000)
    (emission,) = joined(log).emissions
    assert example(emission)["outcome"]["objectives"][0]["reward"] == 1.0
    assert emission.source_offset == 3


def test_an_engagement_of_a_kind_no_objective_counts_is_outside() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.engagement("a", 101, kind="hide")
    log.heartbeat(1000)
    assert joined(log).fates == {Fate.JOINED: 4, Fate.OUTSIDE: 1}


def test_an_engagement_before_its_request_is_outside() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.engagement("a", 99)
    log.heartbeat(1000)
    assert joined(log).fates[Fate.OUTSIDE] == 1


def reasons(result: StepResult) -> dict[int, Fate | None]:
    return {e.source_offset: e.reason for e in result.emissions if e.kind == "dead_letter"}


def test_a_decision_without_action_or_propensity_is_incomplete_with_its_engagements() -> None:
    log = EventLog()
    log.request("a", 100)
    log.action("a", 100)
    log.engagement("a", 101)
    log.heartbeat(1000)
    result = joined(log)
    assert reasons(result) == {0: Fate.INCOMPLETE, 1: Fate.INCOMPLETE, 2: Fate.INCOMPLETE}
    letter = CODEC.decode(result.emissions[0].value).record
    assert (letter["detail"], letter["value"]) == ("decision closed without Propensity", log.records[0].value)


def test_whatever_expires_without_a_request_is_orphan() -> None:
    log = EventLog()
    log.action("a", 100)
    log.propensity("a", 100)
    log.engagement("a", 101)
    log.heartbeat(1000)
    assert set(reasons(joined(log)).values()) == {Fate.ORPHAN}


def test_an_engagement_after_its_decision_closed_is_orphan() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.engagement("a", 130)
    log.heartbeat(100 + WINDOW_MS)
    log.engagement("a", 135)
    assert reasons(joined(log)) == {5: Fate.ORPHAN}


def test_an_engagement_after_its_decision_was_forgotten_is_orphan_once_it_expires() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.heartbeat(100 + WINDOW_MS)
    log.engagement("a", 130)
    assert reasons(joined(log)) == {}
    log.heartbeat(130 + WINDOW_MS)
    assert reasons(joined(log)) == {4: Fate.ORPHAN}


def test_late_is_judged_against_the_watermark_before_the_event_moves_it() -> None:
    log = EventLog()
    log.heartbeat(1000)
    log.request("a", 1000 - WINDOW_MS)
    log.request("b", 1001 - WINDOW_MS)
    log.request("c", 1001)
    result = joined(log)
    assert reasons(result) == {1: Fate.LATE, 2: Fate.INCOMPLETE}


def test_the_event_that_closes_a_window_still_counts_in_it() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.engagement("a", 100 + WINDOW_MS, kind="save")
    assert joined(log).fates == {Fate.JOINED: 3, Fate.OUTSIDE: 1}


def test_a_future_event_does_not_move_the_watermark() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.heartbeat(5000, append_time=5000 - SKEW_MS - 1)
    log.request("b", 6000, append_time=100)
    log.heartbeat(100 + SKEW_MS, append_time=100)
    result = joined(log)
    assert reasons(result) == {3: Fate.FUTURE, 4: Fate.FUTURE}
    assert result.fates == {Fate.FUTURE: 2, Fate.JOINED: 1}


def test_one_event_of_the_year_2099_closes_no_window_and_locks_no_morning() -> None:
    log, day = EventLog(), 86_400_000
    log.decision("a", 100)
    log.request("far", 130 * 365 * day, append_time=101)
    log.engagement("a", 102)
    log.heartbeat(150)
    evening = joined(log)
    assert evening.fates == {Fate.FUTURE: 1, Fate.JOINED: 1}
    log.decision("b", day)
    log.engagement("b", day + 1)
    log.heartbeat(day + WINDOW_MS)
    morning = joined(log)
    assert morning.fates == {Fate.FUTURE: 1, Fate.JOINED: 10}
    assert morning.examples == 2


def test_a_live_heartbeat_in_the_middle_of_history_makes_the_rest_late_and_says_so() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.heartbeat(1_000_000)
    log.decision("b", 200)
    result = joined(log)
    assert (result.examples, result.fates) == (1, {Fate.JOINED: 4, Fate.LATE: 3})


def test_steps_are_parts_of_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog()
    for number in range(40):
        log.decision(f"r{number}", 100)
        log.request(f"alone{number}", 101)
    log.heartbeat(1000)
    whole = joined(log)
    monkeypatch.setattr(partition_join, "EMISSIONS_AT_ONCE", 7)
    monkeypatch.setattr(pending_decisions, "CLOSED_AT_ONCE", 3)
    join = PartitionJoin(small_rule(), CODEC, 0)
    parts = list(join.steps(ChunkValidator(CODEC, small_rule()).validate(RecordColumns.of(log.records))))
    assert len(parts) > 8
    assert max(len(part.emissions) for part in parts) < 7 + 3
    assert_same_outputs([emission for part in parts for emission in part.emissions], whole.emissions)
    assert sum((Counter(part.fates) for part in parts), Counter()) == whole.fates


def test_duplicates_and_conflicts_leave_the_first() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.append(b"a", log.records[0].value, 100)
    log.action("a", 100, arm=4)
    log.heartbeat(1000)
    result = joined(log)
    assert result.fates == {Fate.JOINED: 4, Fate.DUPLICATE: 1, Fate.CONFLICT: 1}
    assert example(result.emissions[-1])["action"]["arm"] == 2


def test_malformed_events_have_no_effect_but_a_dead_letter() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.append(b"a", b"junk", 5000)
    log.propensity("b", 5000, propensity=1.5)
    result = joined(log)
    assert reasons(result) == {3: Fate.MALFORMED, 4: Fate.MALFORMED}
    assert result.examples == 0
    assert "propensity = 1.5" in CODEC.decode(result.emissions[-1].value).record["detail"]


def test_the_cap_closes_the_oldest_decision_early_and_says_so() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.engagement("a", 101)
    log.decision("b", 100 + CLICK_MS)
    log.engagement("a", 100 + CLICK_MS)
    result = joined(log, cap=1)
    outcome = example(result.emissions[0])["outcome"]
    assert (outcome["closed_early"], outcome["window_closed_at"]) == (True, 100 + CLICK_MS)
    assert [objective["observed"] for objective in outcome["objectives"]] == [True, False]
    assert reasons(result) == {7: Fate.ORPHAN}


def test_a_lowered_cap_closes_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog()
    for number in range(40):
        log.decision(f"r{number}", 100)
    before = PartitionJoin(small_rule(), CODEC, 0)
    assert before.process(log.records).emissions == ()
    log.request("last", 100)
    lowered, validated = replace(small_rule(), max_pending=1), ChunkValidator(CODEC, small_rule())
    monkeypatch.setattr(partition_join, "EMISSIONS_AT_ONCE", 7)
    join = PartitionJoin(lowered, CODEC, 0, before.position())
    parts = list(join.steps(validated.validate(RecordColumns.of(log.records))))
    assert [part.examples for part in parts] == [7, 7, 7, 7, 7, 5]


def test_records_seen_before_are_skipped() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.heartbeat(1000)
    join = PartitionJoin(small_rule(), CODEC, 0)
    assert join.process(log.records).examples == 1
    assert join.process(log.records) == StepResult((), {}, 0)


def test_a_position_names_what_is_open_remembered_and_settled() -> None:
    log = EventLog(first_offset=10)
    log.decision("a", 100)
    log.decision("b", 110)
    log.engagement("a", 150)
    log.heartbeat(100 + WINDOW_MS)
    join = PartitionJoin(small_rule(), CODEC, 0)
    assert join.position() is None
    join.process(log.records)
    assert join.position() == CommitPosition(18, 13, 10, None, 0, WINDOW_MS)
    assert (join.pending, join.watermark) == (1, 100 + WINDOW_MS)
    log.heartbeat(1000)
    join.process(log.records)
    assert join.position() == CommitPosition(19, 19, 19, 1000, 0, WINDOW_MS)


def test_a_rebuild_is_silent_and_keeps_its_position() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.heartbeat(150)
    first = PartitionJoin(small_rule(), CODEC, 0)
    first.process(log.records)
    position = first.position()
    log.heartbeat(1000)
    again = PartitionJoin(small_rule(), CODEC, 0, position)
    assert again.process(log.records[:2]) == StepResult((), {}, 0)
    assert again.position() == position
    assert again.process(log.records).fates == {Fate.JOINED: 4}


def test_a_commit_with_another_window_is_refused() -> None:
    position = CommitPosition(5, 5, 5, 100, 0, WINDOW_MS + 1)
    with pytest.raises(CommitUnreadable, match=str(WINDOW_MS + 1)):
        PartitionJoin(small_rule(), CODEC, 0, position)


def assert_same_outputs(found: Sequence[Emission], wanted: Sequence[Emission]) -> None:
    """The same examples in the same order; the same dead letters, whose order depends on how the log is cut."""
    assert [e for e in found if e.kind == "example"] == [e for e in wanted if e.kind == "example"]
    assert Counter(found) == Counter(wanted)


@contextmanager
def columns_beyond(few: int) -> Iterator[None]:
    """Chunks longer than this are held in columns."""
    usual, plain_events.FEW = plain_events.FEW, few
    try:
        yield
    finally:
        plain_events.FEW = usual


def assert_as_reference(reference: ReferenceResult, emissions: Sequence[Emission], fates: Counter[Fate]) -> None:
    assert fates == Counter(fate for fate in reference.fates.values() if fate != r.PENDING)
    letters = [(e.source_offset, e.reason) for e in emissions if e.kind == "dead_letter"]
    silent = {*SILENT, r.PENDING}
    assert sorted(letters) == sorted((o, fate) for (_, o), fate in reference.fates.items() if fate not in silent)
    examples = examples_by_decision(emission.value for emission in emissions if emission.kind == "example")
    assert examples == reference.examples


def note_log(log: Iterable[LogRecord]) -> None:
    for record in log:
        note(described(record))


caps = st.sampled_from([1000, 4, 2, 1])


@given(histories, caps, st.integers(1, 40), st.sampled_from([0, 5, plain_events.FEW]))
@settings(max_examples=200, deadline=None)
def test_every_log_ends_as_the_reference_says(history: list[Move], cap: int, chunk: int, few: int) -> None:
    log = written(history)
    note_log(log)
    join, emissions, fates = PartitionJoin(small_rule(cap), CODEC, 0), list[Emission](), Counter[Fate]()
    with columns_beyond(few):
        for start in range(0, len(log), chunk):
            step = join.process(log[start : start + chunk])
            emissions += step.emissions
            fates.update(step.fates)
    assert_as_reference(reference_join(small_rule(cap), CODEC, log), emissions, fates)


@given(histories, caps)
@settings(max_examples=40, deadline=None)
def test_a_restart_at_any_offset_changes_nothing(history: list[Move], cap: int) -> None:
    log = written(history)
    note_log(log)
    join = PartitionJoin(small_rule(cap), CODEC, 0)
    steps, positions = [], []
    for record in log:
        steps.append(join.process([record]))
        positions.append(join.position())
    for cut, position in enumerate(positions):
        assert position is not None
        again = PartitionJoin(small_rule(cap), CODEC, 0, position)
        rest = [again.process([record]) for record in log[position.rebuild_from :]]
        assert [step for step in rest[: cut + 1 - position.rebuild_from] if step.fates] == []
        assert rest[cut + 1 - position.rebuild_from :] == steps[cut + 1 :]
        assert again.position() == positions[-1]


class InterruptedJoin(RuleBasedStateMachine):
    """A worker cut and restarted at any point: what it wrote up to a commit is final, the rest is written again."""

    @initialize(cap=caps)
    def start(self, cap: int) -> None:
        self.stack = ExitStack()
        self.stack.enter_context(columns_beyond(0))
        self.join_rule = small_rule(cap)
        self.writer = LogWriter()
        self.join = PartitionJoin(self.join_rule, CODEC, 0)
        self.committed: tuple[CommitPosition | None, int, Counter[Fate]] = (None, 0, Counter())
        self.emissions: list[Emission] = []
        self.fates: Counter[Fate] = Counter()
        self.read = 0

    @rule(written=st.lists(moves, min_size=1, max_size=12))
    def append(self, written: list[Move]) -> None:
        for move in written:
            self.writer.write(move)

    @rule(count=st.integers(1, 25))
    def process(self, count: int) -> None:
        chunk = self.writer.log.records[self.read : self.read + count]
        self.read += len(chunk)
        step = self.join.process(chunk)
        self.emissions += step.emissions
        self.fates.update(step.fates)

    @rule()
    def commit(self) -> None:
        position = self.join.position()
        if position is not None:
            reread = CommitPosition.parse(position.rebuild_from, position.encode())
            assert reread.rebuild_from <= reread.open_from <= reread.settled
            if self.committed[0] is None or reread.settled > self.committed[0].settled:
                assert self.committed[0] is None or reread.rebuild_from >= self.committed[0].rebuild_from
                self.committed = (reread, len(self.emissions), Counter(self.fates))

    @rule()
    def restart(self) -> None:
        position, emitted, fates = self.committed
        self.join = PartitionJoin(self.join_rule, CODEC, 0, position)
        self.read = position.rebuild_from if position else 0
        self.emissions = self.emissions[:emitted]
        self.fates = Counter(fates)

    @rule(count=st.integers(1, 25))
    def process_commit_and_restart(self, count: int) -> None:
        self.process(count)
        self.commit()
        self.restart()

    def teardown(self) -> None:
        if not hasattr(self, "writer"):
            return
        self.stack.close()
        log = self.writer.log.records
        self.process(len(log))
        note_log(log)
        whole = PartitionJoin(self.join_rule, CODEC, 0)
        assert_same_outputs(self.emissions, whole.process(log).emissions)
        assert (self.join.pending, self.join.watermark) == (whole.pending, whole.watermark)
        assert_as_reference(reference_join(self.join_rule, CODEC, log), self.emissions, self.fates)


TestInterruptedJoin = InterruptedJoin.TestCase
TestInterruptedJoin.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
