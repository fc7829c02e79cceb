"""The join against the reference: any log, then any log cut and restarted anywhere."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from event_schemas import records as r
from event_schemas.log_record import LogRecord
from stream_processors.partition.columnar_holding import FEW
from stream_processors.partition.commit_position import CommitPosition
from stream_processors.partition.partition_join import Emission, PartitionJoin
from stream_processors.rule.fates import Fate
from stream_processors.rule.join_rule import OutsideReason
from stream_processors.rule.reference_join import reference_join
from tests.stream_processors.event_log import CODEC, WINDOW_MS, small_rule
from tests.stream_processors.event_strategies import LogWriter, Move, histories, moves, written
from tests.stream_processors.join_runs import (
    assert_as_reference,
    assert_same_outputs,
    bucket_counts,
    buckets_per_window,
    caps,
    columns_beyond,
    note_log,
    process,
)

STEP_MS = 15
"""How far the watermark moves at a time when a log comes to rest: less than between events of one decision."""


@given(histories, caps, st.integers(1, 40), st.sampled_from([0, 5, FEW]), bucket_counts)
@settings(max_examples=200, deadline=None)
def test_every_log_ends_as_the_reference_says(history: list[Move], cap: int, chunk: int, few: int, count: int) -> None:
    log = written(history)
    note_log(log)
    with columns_beyond(few), buckets_per_window(count):
        join, emissions, fates = PartitionJoin(small_rule(cap), CODEC, 0), list[Emission](), Counter[Fate]()
        outside = Counter[OutsideReason]()
        for start in range(0, len(log), chunk):
            step = process(join, log[start : start + chunk])
            emissions += step.emissions
            fates.update(step.fates)
            outside.update(step.outside)
    reference = reference_join(small_rule(cap), CODEC, log)
    assert_as_reference(reference, emissions, fates)
    assert outside == Counter(reference.outside.values())


@given(histories, caps, bucket_counts)
@settings(max_examples=40, deadline=None)
def test_a_restart_at_any_offset_changes_nothing(history: list[Move], cap: int, count: int) -> None:
    log = written(history)
    note_log(log)
    with buckets_per_window(count):
        assert_restarts_change_nothing(log, cap)


def assert_restarts_change_nothing(log: list[LogRecord], cap: int) -> None:
    join = PartitionJoin(small_rule(cap), CODEC, 0)
    steps, positions = [], []
    for record in log:
        steps.append(process(join, [record]))
        positions.append(join.position())
    for cut, position in enumerate(positions):
        assert position is not None
        again = PartitionJoin(small_rule(cap), CODEC, 0, position)
        rest = [process(again, [record]) for record in log[position.rebuild_from :]]
        assert [step for step in rest[: cut + 1 - position.rebuild_from] if step.fates] == []
        assert rest[cut + 1 - position.rebuild_from :] == steps[cut + 1 :]
        assert again.position() == positions[-1]


class InterruptedJoin(RuleBasedStateMachine):
    """A worker cut and restarted at any point: what it wrote up to a commit is final, the rest is written again."""

    @initialize(cap=caps, count=bucket_counts)
    def start(self, cap: int, count: int) -> None:
        self.stack = ExitStack()
        self.stack.enter_context(buckets_per_window(count))
        self.columns = self.stack.enter_context(ExitStack())
        self.columns.enter_context(columns_beyond(0))
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
        step = process(self.join, chunk)
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
        with self.stack:
            self.end()

    def end(self) -> None:
        """What is left is read one by one."""
        self.columns.close()
        log = self.writer.log.records
        self.process(len(log))
        note_log(log)
        whole = PartitionJoin(self.join_rule, CODEC, 0)
        assert_same_outputs(self.emissions, process(whole, log).emissions)
        assert (self.join.pending, self.join.watermark) == (whole.pending, whole.watermark)
        self.come_to_rest()
        reference = reference_join(self.join_rule, CODEC, log)
        assert r.PENDING not in reference.fates.values()
        assert_as_reference(reference, self.emissions, self.fates)

    def come_to_rest(self) -> None:
        """Two windows after the last event nothing is left, though the watermark moves in small steps."""
        last = max(self.writer.clock, self.join.watermark or 0)
        for time in range(last, last + 2 * WINDOW_MS + 1, STEP_MS):
            self.writer.log.heartbeat(time)
            self.process(1)
        position, end = self.join.position(), len(self.writer.log.records)
        assert position is not None
        assert self.join.pending == 0
        assert len(self.join._pending._table.index) == 0
        assert (position.settled, position.open_from, position.rebuild_from) == (end, end, end)


TestInterruptedJoin = InterruptedJoin.TestCase
TestInterruptedJoin.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
