"""The state of the partitions that this worker owns: what to read, what is confirmed, what may be committed.

Pure bookkeeping around `PartitionJoin`, without Faust or Kafka. Step numbers refer to the commit protocol in
docs/guarantees.md.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from event_schemas.codec import Codec
from event_schemas.errors import TrimtabError
from stream_processors.columns.chunk_validation import ChunkValidator
from stream_processors.columns.record_columns import RecordColumns
from stream_processors.columns.validated_records import ValidatedRecords
from stream_processors.partition.commit_position import BEGIN_ANEW, CommitPosition, LogReplaced, LogTruncated
from stream_processors.partition.partition_join import PartitionJoin, StepResult
from stream_processors.rule.join_rule import JoinRule
from stream_processors.worker.record_chunk import RecordChunk, StartingPoint

log = structlog.get_logger(__name__)


class OutputsTooNarrow(TrimtabError):
    """An output topic lacks a partition that the events topic has."""


class RecordsMissed(TrimtabError):
    """Records between two chunks never arrived; continuing would lose them."""


@dataclass(slots=True)
class ChunkStep:
    """One chunk: the position after it (None while it is being joined) and its number of unconfirmed outputs."""

    position: CommitPosition | None
    unconfirmed: int

    def confirm(self, count: int) -> None:
        """Step 4: the broker has confirmed `count` more outputs."""
        self.unconfirmed -= count


@dataclass(slots=True)
class OwnedPartition:
    """The join of one partition, its chunks in order, and the positions up to which it is confirmed and committed."""

    join: PartitionJoin
    epoch: int
    reached: int
    """The next offset to process."""
    committed: CommitPosition | None
    confirmed: CommitPosition | None
    steps: deque[ChunkStep] = field(default_factory=deque)

    def news(self) -> CommitPosition | None:
        """The newest position before which everything is confirmed; None if the group has already committed it."""
        while self.steps and self.steps[0].unconfirmed == 0 and self.steps[0].position is not None:
            self.confirmed = self.steps.popleft().position
        if self.confirmed is None or (self.committed and not _newer(self.confirmed, self.committed)):
            return None
        return self.confirmed


class OwnedPartitions:
    """A `PartitionOwner`: one `PartitionJoin` for each assigned partition.

    The state of a partition that stays assigned is kept, unless another worker has committed further in the meantime;
    all other state is rebuilt from the log. `topic_id` is the id of the events topic; `outputs` returns the number of
    partitions that every output topic has.
    """

    def __init__(self, rule: JoinRule, codec: Codec, topic_id: str, outputs: Callable[[], int]) -> None:
        self._rule = rule
        self._topic_id = topic_id
        self._outputs = outputs
        self._codec = codec
        self._validator = ChunkValidator(codec, rule)
        self._partitions: dict[int, OwnedPartition] = {}

    @property
    def partitions(self) -> Mapping[int, OwnedPartition]:
        """The partitions owned now."""
        return self._partitions

    def take_partitions(self, epoch: int, assigned: Mapping[int, StartingPoint]) -> dict[int, int]:
        """Step 0: take over exactly these partitions; returns the offset to read from for each.

        Raises LogTruncated, LogReplaced or OutputsTooNarrow.
        """
        _check_outputs(assigned, self._outputs())
        taken = {p: self._take(epoch, p, point) for p, point in assigned.items()}
        self._partitions = {p: owned for p, (owned, _) in taken.items()}
        return {p: start for p, (_, start) in taken.items()}

    def _take(self, epoch: int, partition: int, point: StartingPoint) -> tuple[OwnedPartition, int]:
        kept = self._partitions.get(partition)
        committed = point.committed
        self._check_topic(partition, committed)
        if kept is not None and (committed is None or committed.settled <= kept.reached):
            kept.epoch, kept.committed = epoch, committed
            return kept, kept.reached
        start = point.log_start if committed is None else committed.rebuild_from
        _check_log(partition, point, start)
        settled = None if committed is None else committed.settled
        log.info("partition taken", partition=partition, read_from=start, settled=settled, log_end=point.log_end)
        join = PartitionJoin(self._rule, self._codec, partition, committed)
        confirmed = None if committed is None else replace(committed, topic_id=self._topic_id)
        return OwnedPartition(join, epoch, start, committed, confirmed), start

    def _check_topic(self, partition: int, committed: CommitPosition | None) -> None:
        """Check that the offsets were committed for this topic; commits of version 0.1.0, without an id, pass once."""
        if committed is None or committed.topic_id == self._topic_id:
            return
        if committed.topic_id is not None:
            raise LogReplaced(
                f"partition {partition}: offset {committed.settled} was committed for topic id {committed.topic_id},"
                f" but the events topic has id {self._topic_id}: the topic was deleted and created again",
                fix=BEGIN_ANEW,
            )
        log.info("commit without a topic id accepted", partition=partition, topic_id=self._topic_id)

    def validate(self, chunks: Sequence[RecordColumns]) -> list[ValidatedRecords]:
        """Part of step 1: determine which records are valid; called from the thread that fetches."""
        return self._validator.validate_all(chunks)

    def accept(self, chunk: RecordChunk) -> ValidatedRecords | None:
        """Step 1: the records of a chunk that still need to be processed; None if the chunk is void or has none.

        Raises RecordsMissed when the chunk does not follow what was processed before.
        """
        owned = self._partitions.get(chunk.partition)
        if owned is None or chunk.epoch != owned.epoch:
            return None
        if chunk.follows > owned.reached:
            raise RecordsMissed(
                f"partition {chunk.partition}: records {owned.reached} to {chunk.follows - 1} never arrived",
                fix="restart the worker: it continues from the last commit",
            )
        records = chunk.validated.records
        seen = records.place_of(owned.reached)
        return chunk.validated.part(seen, len(records)) if seen < len(records) else None

    def process(
        self, partition: int, validated: ValidatedRecords
    ) -> Iterator[tuple[StepResult, Callable[[int], None]]]:
        """Step 2: join the records; yields outputs, each with the function to call with the number newly confirmed.

        The caller must exhaust the iterator: the position after these records is only known at its end.
        """
        owned = self._partitions[partition]
        step = ChunkStep(None, 0)
        owned.steps.append(step)
        for result in owned.join.steps(validated):
            step.unconfirmed += len(result.emissions)
            yield result, step.confirm
        owned.reached = validated.records.end
        position = owned.join.position()
        assert position is not None, "a join that processed records has a position"
        step.position = replace(position, topic_id=self._topic_id)

    def committable(self) -> dict[int, CommitPosition]:
        """Step 5: the newest confirmed position of each partition for which it has not been committed yet."""
        positions = {p: owned.news() for p, owned in self._partitions.items()}
        return {p: position for p, position in positions.items() if position is not None}

    def note_committed(self, positions: Mapping[int, CommitPosition]) -> None:
        """The group has stored these positions."""
        for partition, position in positions.items():
            if partition in self._partitions:
                self._partitions[partition].committed = position


def _newer(confirmed: CommitPosition, committed: CommitPosition) -> bool:
    return confirmed.settled > committed.settled or confirmed.topic_id != committed.topic_id


def _check_outputs(assigned: Mapping[int, StartingPoint], outputs: int) -> None:
    if assigned and (widest := max(assigned)) >= outputs:
        raise OutputsTooNarrow(
            f"partition {widest} was added to the events topic, but an output topic has only {outputs} partitions",
            fix="add partitions to examples and dead-letters too; docs/guides/operating_the_join.md names the effects",
        )


def _check_log(partition: int, point: StartingPoint, start: int) -> None:
    if start < point.log_start:
        raise LogTruncated(
            f"partition {partition}: the log starts at offset {point.log_start}, but the join must read from {start}",
            fix="raise the topic's retention; docs/guarantees.md says how to start over and what that costs",
        )
    settled = 0 if point.committed is None else point.committed.settled
    if settled > point.log_end:
        raise LogTruncated(
            f"partition {partition}: the log ends at offset {point.log_end}, but the join had read to {settled}",
            fix="if the topic was deleted and created again, use a new topic prefix or delete the consumer group",
        )
