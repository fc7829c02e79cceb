"""Workers that share partitions, die, come back and lose partitions to each other, in any order: one fate each.

Everything is the real thing but the broker: a log per partition, the group's commits, and the outputs stored so far.
What a worker has written but the broker has not confirmed may or may not be stored when it dies.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from event_schemas import records as r
from stream_processors.columns.record_columns import RecordColumns
from stream_processors.partition.commit_position import CommitPosition
from stream_processors.partition.partition_join import Emission
from stream_processors.rule.fates import SILENT
from stream_processors.rule.reference_join import reference_join
from stream_processors.worker.owned_partitions import OwnedPartitions
from stream_processors.worker.record_chunk import RecordChunk, StartingPoint
from tests.stream_processors.event_log import CODEC, WINDOW_MS, examples_by_decision, small_rule
from tests.stream_processors.event_strategies import LogWriter, Move, moves

PARTITIONS = (0, 1, 2)
WORKERS = (0, 1)
partitions = st.sampled_from(PARTITIONS)
workers = st.sampled_from(WORKERS)


class SharedPartitions(RuleBasedStateMachine):
    """A consumer group of two workers over three partitions."""

    @initialize(cap=st.sampled_from([1000, 3]))
    def start(self, cap: int) -> None:
        self.join_rule = small_rule(cap)
        self.logs = {p: LogWriter(p) for p in PARTITIONS}
        self.commits: dict[int, CommitPosition] = {}
        self.stored: dict[int, list[Emission]] = {p: [] for p in PARTITIONS}
        self.under_way: dict[int, deque[tuple[Emission, Callable[[int], None]]]] = {p: deque() for p in PARTITIONS}
        self.workers = {w: OwnedPartitions(self.join_rule, CODEC, "topic", lambda: 9) for w in WORKERS}
        self.owner = dict.fromkeys(PARTITIONS, 0)
        self.reading: dict[int, int] = {}
        self.epoch = 0
        self._assign()

    def _assign(self) -> None:
        """Every worker takes over what is its own, as after a rebalance."""
        self.epoch += 1
        for worker, owned in self.workers.items():
            points = {
                p: StartingPoint(self.commits.get(p), 0, len(self.logs[p].log.records))
                for p in PARTITIONS
                if self.owner[p] == worker
            }
            self.reading |= owned.take_partitions(self.epoch, points)

    @rule(partition=partitions, written=st.lists(moves, min_size=1, max_size=12))
    def append(self, partition: int, written: list[Move]) -> None:
        for move in written:
            self.logs[partition].write(move)

    @rule(partition=partitions, count=st.integers(1, 25))
    def process(self, partition: int, count: int) -> None:
        records = self.logs[partition].log.records[self.reading[partition] :][:count]
        if not records:
            return
        owned = self.workers[self.owner[partition]]
        (validated,) = owned.validate([RecordColumns.of(records)])
        chunk = RecordChunk(self.epoch, partition, self.reading[partition], validated)
        self.reading[partition] = chunk.end
        accepted = owned.accept(chunk)
        assert accepted is not None
        for result, confirmed in owned.process(partition, accepted):
            self.under_way[partition].extend((emission, confirmed) for emission in result.emissions)

    @rule(partition=partitions, count=st.integers(1, 30))
    def confirm(self, partition: int, count: int) -> None:
        for _ in range(min(count, len(self.under_way[partition]))):
            emission, confirmed = self.under_way[partition].popleft()
            self.stored[partition].append(emission)
            confirmed(1)

    @rule(worker=workers)
    def commit(self, worker: int) -> None:
        positions = self.workers[worker].committable()
        for partition, position in positions.items():
            before = self.commits.get(partition)
            assert before is None or before.settled < position.settled
            self.commits[partition] = CommitPosition.parse(position.rebuild_from, position.encode())
        self.workers[worker].note_committed(positions)

    @rule(partition=partitions, worker=workers, in_order=st.booleans())
    def move(self, partition: int, worker: int, in_order: bool) -> None:
        """A partition goes to another worker, after its outputs were confirmed and committed or before."""
        if in_order:
            for p in PARTITIONS:
                self.confirm(p, len(self.under_way[p]))
            self.commit(self.owner[partition])
        elif self.owner[partition] != worker:
            self._drop_outputs(partition, 0)
        self.owner[partition] = worker
        self._assign()

    @rule(worker=workers, stored=st.integers(0, 30))
    def kill(self, worker: int, stored: int) -> None:
        """All state is gone; of the outputs under way the first `stored` reached the broker."""
        for partition, owner in self.owner.items():
            if owner == worker:
                self._drop_outputs(partition, stored)
        self.workers[worker] = OwnedPartitions(self.join_rule, CODEC, "topic", lambda: 9)
        self._assign()

    @rule(partition=partitions, decisions=st.integers(1, 3), confirmed=st.integers(0, 6), stored=st.integers(0, 6))
    def work_and_die(self, partition: int, decisions: int, confirmed: int, stored: int) -> None:
        """Decisions come and close, some outputs are confirmed, the worker commits and dies."""
        writer = self.logs[partition]
        for number in range(decisions):
            writer.write(("decision", {"id": "abcd"[number], "delay": 0}))
        writer.write(("wait", {"ms": 2 * WINDOW_MS}))
        writer.write(("heartbeat", {"delay": 0}))
        self.process(partition, len(writer.log.records))
        self.confirm(partition, confirmed)
        self.commit(self.owner[partition])
        self.kill(self.owner[partition], stored)

    def _drop_outputs(self, partition: int, stored: int) -> None:
        lost = self.under_way[partition]
        self.stored[partition] += [emission for emission, _ in list(lost)[:stored]]
        lost.clear()

    def teardown(self) -> None:
        if not hasattr(self, "logs"):
            return
        for partition, writer in self.logs.items():
            log = writer.log.records
            self.process(partition, len(log))
            self.confirm(partition, len(self.under_way[partition]))
            reference = reference_join(self.join_rule, CODEC, log)
            stored = self.stored[partition]
            examples = examples_by_decision(emission.value for emission in stored if emission.kind == "example")
            fates: dict[int, str] = {}
            for emission in stored:
                if emission.kind != "example":
                    reason = str(emission.reason)
                    assert fates.setdefault(emission.source_offset, reason) == reason, "a second fate"
            silent = {*SILENT, r.PENDING}
            assert examples == reference.examples
            assert fates == {offset: fate for (_, offset), fate in reference.fates.items() if fate not in silent}


TestSharedPartitions = SharedPartitions.TestCase
TestSharedPartitions.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
