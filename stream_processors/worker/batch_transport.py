"""Faust's aiokafka transport, changed to deliver many records of one partition as one message.

Faust creates four tasks per message, which limits it to a few thousand messages a second. Here a message is a
`RecordChunk`: up to `CHUNK_RECORDS` records of one partition in offset order. Faust still does group membership,
rebalancing, fetching, flow control and the timing of commits.

Faust's acknowledgements do not determine what is committed, because after an offset gap they count an unprocessed
message as processed. The `PartitionOwner` decides what is committed and where reading starts. The topic is read with
`acks=False`.

This module depends on the source of certain methods of Faust and aiokafka. Its test stores digests of them and fails
when a release changes one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, ClassVar, cast

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import (
    CommitFailedError,
    ConsumerStoppedError,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
)
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust import Schema
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP, AppT, ConsumerMessage, Message

from stream_processors.columns.record_columns import RecordColumns
from stream_processors.columns.validated_records import ValidatedRecords
from stream_processors.partition.commit_position import CommitPosition
from stream_processors.worker.fetched_batches import take_fetched
from stream_processors.worker.record_chunk import PartitionOwner, RecordChunk, StartingPoint

CHUNK_RECORDS = 5_000
"""More records than one fetch returns for a partition, if records have an ordinary size."""
PAUSE_SECONDS = 0.01
"""How long to wait when every partition already has enough chunks waiting to be joined."""
CHUNKS_AT_ONCE = 2
"""Chunks validated together."""
GIVE_WAY_SECONDS = 0.25
"""How long the fetching thread may validate before it lets the group's heartbeats run."""
PATIENCE_SECONDS = 30.0
"""How long a newly assigned partition may be without a position."""
UNSEEKED_PAUSE_SECONDS = 0.1
LOG_APPEND_TIME = 1
# librdkafka does not terminate the metadata it copies for several partitions; a final NUL stops readers at its end.
METADATA_END = "\0"

Offsets = Mapping[TP, OffsetAndMetadata]
log = structlog.get_logger(__name__)


class PassThroughSchema(Schema[Any, Any]):
    """Leaves keys and chunks as they are."""

    def loads_key(self, app: AppT, message: Message, **_: Any) -> Any:
        del app
        return message.key

    def loads_value(self, app: AppT, message: Message, **_: Any) -> Any:
        del app
        return message.value


class BatchConsumerThread(AIOKafkaConsumerThread):
    """The thread that owns the aiokafka consumer; commits carry metadata."""

    async def on_thread_stop(self) -> None:
        """Stop the consumer, even if the broker is down.

        In that case aiokafka's fetcher raises the cancellation of its own requests before it closes the client.
        Uncaught, the error would silently end this thread, and the worker would wait a minute for it.
        """
        try:
            await super().on_thread_stop()
        except asyncio.CancelledError:
            await self._ensure_consumer()._client.close()

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> Any:
        """Return what was fetched for these partitions, validated and in chunks; wait up to `timeout` s for records.

        Validation can take seconds when records cannot be validated as columns (an older schema, many malformed
        records), so it regularly lets the heartbeats run that keep this worker in its group.
        """
        del max_records
        found = await self._fetched(consumer, active_partitions, timeout)
        owner = cast(BatchTransport, self.transport).owner
        chunks = [part for records in found.values() for part in _cut(records)]
        validated: dict[TP, list[ValidatedRecords]] = {tp: [] for tp in found}
        turn = time.monotonic()
        for start in range(0, len(chunks), CHUNKS_AT_ONCE):
            for one in owner.validate(chunks[start : start + CHUNKS_AT_ONCE]):
                validated[TP(one.records.topic, one.records.partition)].append(one)
            if (now := time.monotonic()) - turn > GIVE_WAY_SECONDS:
                await asyncio.sleep(0)
                turn = now
        return validated

    async def _fetched(
        self, consumer: AIOKafkaConsumer, active_partitions: set[TP], timeout: float | None
    ) -> dict[TP, RecordColumns]:
        if not self.consumer.flow_active:
            return {}
        fetcher = consumer._fetcher
        if consumer._closed or fetcher._closed:
            raise ConsumerStoppedError
        with fetcher._subscriptions.fetch_context():
            if fetcher._subscriptions.reassignment_in_progress:
                await fetcher._subscriptions.wait_for_assignment()
            found = take_fetched(fetcher, active_partitions)
            if found or not timeout:
                return found
            waiter = fetcher._create_fetch_waiter()
            await asyncio.wait([waiter], timeout=timeout)
            if not waiter.done():
                waiter.cancel()
                return {}
            waiter.result()
            return {} if fetcher._subscriptions.reassignment_in_progress else take_fetched(fetcher, active_partitions)

    async def starting_points(self, partitions: Sequence[TP]) -> dict[TP, StartingPoint]:
        """What the group has committed and which offsets the log contains, for each partition."""
        points: dict[TP, StartingPoint] = await self.call_thread(self._starting_points, partitions)
        return points

    async def _starting_points(self, partitions: Sequence[TP]) -> dict[TP, StartingPoint]:
        consumer = self._ensure_consumer()
        keys = {tp: TopicPartition(tp.topic, tp.partition) for tp in partitions}
        committed = await consumer._coordinator.fetch_committed_offsets(list(keys.values()))
        starts = await consumer.beginning_offsets(list(keys.values()))
        ends = await consumer.end_offsets(list(keys.values()))
        return {tp: StartingPoint(_position(committed.get(key)), starts[key], ends[key]) for tp, key in keys.items()}

    async def seek_all(self, offsets: Mapping[TP, int]) -> None:
        """Continue reading at these offsets and discard what was fetched before. Lost partitions are skipped."""
        await self.call_thread(self._seek_all, offsets)

    async def _seek_all(self, offsets: Mapping[TP, int]) -> None:
        consumer = self._ensure_consumer()
        for tp, offset in offsets.items():
            key = TopicPartition(tp.topic, tp.partition)
            if key in consumer.assignment():
                consumer.seek(key, offset)

    async def check_group(self) -> None:
        """Raise the error that keeps this member out of its group.

        aiokafka stores the error and does nothing more until it is asked for it.
        """
        await self.call_thread(self._check_group)

    async def _check_group(self) -> None:
        try:
            self._ensure_consumer()._coordinator.check_errors()
        except KafkaError as fault:
            if not fault.retriable:
                raise
            log.warning("rejoining the group", after=repr(fault))

    async def commit_positions(self, offsets: Offsets) -> bool:
        """Commit offsets with their metadata; False if a rebalance prevented it."""
        done: bool = await self.call_thread(self._commit_positions, offsets)
        return done

    async def _commit_positions(self, offsets: Offsets) -> bool:
        consumer = self._ensure_consumer()
        try:
            await consumer.commit({TopicPartition(tp.topic, tp.partition): entry for tp, entry in offsets.items()})
        except (CommitFailedError, IllegalStateError):
            return False
        return True


class Patience:
    """Measures how long an operation has failed without a success in between. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None

    def went_well(self) -> None:
        """Note a success; the time starts again at the next fault."""
        self._since = None

    def ends(self) -> bool:
        """Note one more fault; True if faults have lasted longer than `PATIENCE_SECONDS`."""
        now = self._clock()
        self._since = now if self._since is None else self._since
        return now - self._since > PATIENCE_SECONDS


class BatchConsumer(Consumer):
    """Faust's consumer with four changes: messages are chunks, the owner decides where reading starts, the owner
    decides what is committed, and a partition without a position reads as empty.

    On a rebalance aiokafka itself looks up the group's commit of a new partition and raises if there is none
    (`auto.offset.reset = none`). That can happen before Faust calls `seek_to_committed`, which sets the position. It is
    only an error if it persists.
    """

    _thread: BatchConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._owner = cast(BatchTransport, self.transport).owner
        self._epoch = 0
        self._reached: dict[TP, int] = {}
        self._patience = Patience()

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek to where the owner says; Faust calls this after each assignment, before it delivers records."""
        assigned = sorted(self.assignment())
        points = await self._thread.starting_points(assigned)
        self._epoch += 1
        starts = self._owner.take_partitions(self._epoch, {tp.partition: points[tp] for tp in assigned})
        self._reached = {tp: starts[tp.partition] for tp in assigned}
        await self._thread.seek_all(self._reached)
        return dict(self._reached)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Notify the owner of an empty assignment too; Faust does not call `seek_to_committed` for one."""
        if not assigned:
            self._epoch += 1
            self._reached = {}
            self._owner.take_partitions(self._epoch, {})
        await super().on_partitions_assigned(assigned, generation_id)

    async def _wait_next_records(self, timeout: float) -> tuple[Mapping[TP, list[Any]] | None, set[TP] | None]:
        """Fetch from the partitions that do not already have enough chunks waiting to be joined.

        If there is no such partition, Faust would wait a second; the join would run out of chunks long before that.
        """
        if not self.flow_active:
            await self.wait(cast(Any, self.can_resume_flow))
        active = self._get_active_partitions()
        if not active:
            await self.sleep(PAUSE_SECONDS)
            return {}, active
        try:
            found = await self._getmany(active_partitions=active, timeout=timeout)
        except NoOffsetForPartitionError:
            if self._patience.ends():
                raise
            await asyncio.sleep(UNSEEKED_PAUSE_SECONDS)
            return None, None
        self._patience.went_well()
        return found, active

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """Fetch once and yield the records in chunks, one partition after another in turn.

        Chunks that can no longer be delivered (the flow was stopped, the group rebalanced or reading was restarted) are
        read again later.
        """
        epoch = self._epoch
        records, active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if records is None or self.should_stop:
            return
        refused: set[TP] = set()
        for tp, validated in _in_turns(cast(Mapping[TP, Sequence[ValidatedRecords]], records)):
            current = epoch == self._epoch and generation == self.app.consumer_generation_id
            wanted = active is None or tp in active or tp in self._buffered_partitions
            if tp in refused or not (current and wanted and self.flow_active):
                refused.add(tp)
                continue
            yield tp, self._chunk_message(tp, validated)
        if refused:
            await self._read_again(refused)

    def _chunk_message(self, tp: TP, validated: ValidatedRecords) -> ConsumerMessage:
        chunk, part = RecordChunk(self._epoch, tp.partition, self._reached[tp], validated), validated.records
        self._reached[tp] = chunk.end
        return ConsumerMessage(
            topic=tp.topic,
            partition=tp.partition,
            offset=part.offsets[-1],
            timestamp=part.append_times[-1] / 1000.0,
            timestamp_type=LOG_APPEND_TIME,
            headers=[],
            key=None,
            value=cast(Any, chunk),
            checksum=None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def check_group(self) -> None:
        """Raise the aiokafka error that permanently keeps this worker out of its group, if there is one."""
        await self._thread.check_group()

    def known_partitions(self, topic: str) -> int:
        """How many partitions of the topic the group knows of and distributes among its members."""
        known = self._thread._ensure_consumer()._client.cluster.partitions_for_topic(topic)
        return len(known or ())

    async def _read_again(self, partitions: set[TP]) -> None:
        await self._thread.seek_all({tp: self._reached[tp] for tp in partitions if tp in self._reached})

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit the owner's positions; Faust calls this at every commit interval and when it stops.

        The arguments select among Faust's own acknowledgements, which are not used here.
        """
        del topics, start_new_transaction
        assigned = {tp.partition: tp for tp in self.assignment()}
        positions = {p: at for p, at in self._owner.committable().items() if p in assigned}
        if not positions:
            return False
        offsets = {
            assigned[p]: OffsetAndMetadata(at.rebuild_from, at.encode() + METADATA_END) for p, at in positions.items()
        }
        done = await self._thread.commit_positions(offsets)
        if done:
            self._owner.note_committed(positions)
        return done


class BatchTransport(Transport):
    """The transport to return from `App._new_transport`."""

    Consumer: ClassVar[type[BatchConsumer]] = BatchConsumer

    def __init__(self, url: list[Any], app: AppT, owner: PartitionOwner) -> None:
        super().__init__(url, app)
        self.owner = owner


def _position(entry: OffsetAndMetadata | None) -> CommitPosition | None:
    return None if entry is None else CommitPosition.parse(entry.offset, entry.metadata.rstrip(METADATA_END))


def _cut(records: RecordColumns) -> Iterator[RecordColumns]:
    """Slices of at most CHUNK_RECORDS."""
    for start in range(0, len(records), CHUNK_RECORDS):
        yield records.part(start, start + CHUNK_RECORDS)


def _in_turns(fetched: Mapping[TP, Sequence[ValidatedRecords]]) -> Iterator[tuple[TP, ValidatedRecords]]:
    """Chunks of the partitions in turn, one at a time; each partition's chunks stay in order."""
    turns = zip_longest(*([(tp, chunk) for chunk in chunks] for tp, chunks in fetched.items()))
    return (chunk for turn in turns for chunk in turn if chunk is not None)
