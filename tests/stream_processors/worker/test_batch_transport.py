"""The transport hands over chunks in order, asks the owner where to start and what to commit, and knows its Faust."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import NoOffsetForPartitionError
from confluent_kafka import Producer
from faust.types import TP, StreamT

from event_schemas.codec import Codec
from event_schemas.experiment import load_experiment
from event_schemas.log_record import LogRecord
from event_schemas.registry import Registry
from stream_processors.columns.record_columns import RecordColumns
from stream_processors.columns.validated_records import ValidatedRecords
from stream_processors.partition.commit_position import CommitPosition
from stream_processors.rule.join_rule import JoinRule
from stream_processors.worker.batch_transport import (
    CHUNK_RECORDS,
    METADATA_END,
    PATIENCE_SECONDS,
    BatchConsumer,
    BatchTransport,
    Patience,
    _cut,
    _in_turns,
)
from stream_processors.worker.faust_app import JoinApp
from stream_processors.worker.owned_partitions import OwnedPartitions
from stream_processors.worker.record_chunk import RecordChunk, StartingPoint
from stream_processors.worker.worker_settings import WorkerSettings
from tests.components.kafka_broker import KafkaBroker
from tests.conftest import TopicFactory

# Digests of what the transport was written against, in faust-streaming 0.15.3 and aiokafka 0.14.0.
READ = {
    "faust.transport.consumer:Consumer.getmany": "4b168d84882a70d6",
    "faust.transport.consumer:Consumer._wait_next_records": "6218e1969a636b3f",
    "faust.transport.consumer:Consumer._drain_messages": "44a2500309e83c63",
    "faust.transport.consumer:Consumer.perform_seek": "0e8c130ff4b0afd8",
    "faust.transport.consumer:Consumer.force_commit": "cc094614d22c70fb",
    "faust.transport.consumer:Consumer.commit": "a354437baaa08bf8",
    "faust.transport.consumer:Consumer._commit_handler": "4e5da5df073082d6",
    "faust.transport.consumer:Consumer.on_stop": "45b1d2210ce2b526",
    "faust.transport.consumer:Consumer.on_partitions_revoked": "d04b7ae72c6fc206",
    "faust.transport.consumer:ThreadDelegateConsumer.seek_to_committed": "f1d483b861b0328b",
    "faust.transport.consumer:ThreadDelegateConsumer._getmany": "f9d47aa9010b5ff2",
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread._commit": "932852ce7a23f658",
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread._fetch_records": "39a2c6c79fc1455a",
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread._create_worker_consumer": "c2701bfc3e6f6cad",
    "faust.transport.drivers.aiokafka:Consumer._new_consumer_thread": "0870ec53dea75083",
    "faust.transport.drivers.aiokafka:Consumer._to_message": "7c24f6511b2fcef7",
    "faust.transport.consumer:Consumer.on_partitions_assigned": "29ce96596f05a18c",
    "faust.tables.recovery:Recovery._resume_streams": "d986a6710c1aca98",
    "faust.app.base:App._on_partitions_revoked": "d5c895bbe57dc73a",
    "faust.app.base:App._on_partitions_assigned": "de932b7927db85b3",
    "faust.app.base:App._stop_consumer": "55854a5de12c3f52",
    "faust.app.base:App._new_transport": "42db531312dd776f",
    "aiokafka.consumer.fetcher:Fetcher.fetched_records": "be4348896b9b66af",
    "aiokafka.consumer.fetcher:Fetcher._create_fetch_waiter": "61d840568746477e",
    "aiokafka.consumer.fetcher:Fetcher._proc_fetch_request": "59bf948fff47eed5",
    "aiokafka.consumer.fetcher:FetchResult.check_assignment": "b5340df67e3f330f",
    "aiokafka.consumer.fetcher:FetchResult.getall": "3e717e30de5068d5",
    "aiokafka.consumer.fetcher:FetchResult._update_position": "83fb1473bf10027b",
    "aiokafka.consumer.fetcher:PartitionRecords._unpack_records": "b803e6d46480732c",
    "aiokafka.consumer.fetcher:Fetcher.seek_to": "f0ba6aba6c22ef83",
    "aiokafka.consumer.fetcher:Fetcher._update_fetch_positions": "d7774d8241dc6a7e",
    "aiokafka.consumer.group_coordinator:GroupCoordinator.fetch_committed_offsets": "6c049c7379165952",
    "aiokafka.consumer.group_coordinator:GroupCoordinator.commit_offsets": "5cbe31af28d6cc06",
}


@pytest.mark.parametrize(("place", "digest"), READ.items(), ids=list(READ))
def test_faust_and_aiokafka_are_the_ones_that_were_read(place: str, digest: str) -> None:
    module, _, path = place.partition(":")
    class_name, method = path.split(".")
    attribute = vars(getattr(import_module(module), class_name))[method]
    source = inspect.getsource(inspect.unwrap(getattr(attribute, "fun", attribute)))
    found = hashlib.sha256(source.encode()).hexdigest()[:16]
    assert found == digest, f"{place} changed: read it beside batch_transport.py, then record {found}"


def test_partitions_take_turns_and_keep_their_order() -> None:
    first, second = TP("events", 0), TP("events", 1)
    fetched = {}
    for tp, count in ((first, CHUNK_RECORDS * 2 + 1), (second, 1)):
        records = RecordColumns.of([LogRecord(*tp, offset, 0, None, None) for offset in range(count)])
        fetched[tp] = [ValidatedRecords(part, {}) for part in _cut(records)]
    turns = [(tp, validated.records) for tp, validated in _in_turns(fetched)]
    assert [tp for tp, _ in turns] == [first, second, first, first]
    assert [len(part) for _, part in turns] == [CHUNK_RECORDS, 1, CHUNK_RECORDS, 1]
    offsets = [offset for tp, part in turns if tp == first for offset in part.offsets]
    assert offsets == list(range(CHUNK_RECORDS * 2 + 1))


class RecordingOwner:
    """A `PartitionOwner` that reads from given offsets and commits what the test says."""

    def __init__(self, starts: Mapping[int, int]) -> None:
        self.starts = starts
        self.points: dict[int, StartingPoint] = {}
        self.to_commit: dict[int, CommitPosition] = {}
        self.stored: dict[int, CommitPosition] = {}
        self.assignments: list[set[int]] = []

    def take_partitions(self, epoch: int, assigned: Mapping[int, StartingPoint]) -> Mapping[int, int]:
        self.points = dict(assigned)
        self.assignments.append(set(assigned))
        return {partition: self.starts[partition] for partition in assigned}

    def validate(self, chunks: Sequence[RecordColumns]) -> list[ValidatedRecords]:
        return [ValidatedRecords(chunk, {}) for chunk in chunks]

    def committable(self) -> Mapping[int, CommitPosition]:
        return {p: at for p, at in self.to_commit.items() if self.stored.get(p) != at}

    def note_committed(self, positions: Mapping[int, CommitPosition]) -> None:
        self.stored.update(positions)


class ReadingApp:
    """A Faust application that only collects its chunks."""

    def __init__(self, settings: WorkerSettings, owner: RecordingOwner) -> None:
        self.chunks: list[RecordChunk] = []
        self.app = JoinApp(settings, owner)
        self.app.agent(self.app.events(settings), name="collect")(self._collect)

    async def _collect(self, chunks: StreamT[RecordChunk]) -> None:
        async for chunk in chunks:
            self.chunks.append(chunk)

    async def read(self, records: int) -> None:
        """Run until so many records were read, or 30 s."""
        starting = asyncio.create_task(self.app.start())
        deadline = asyncio.get_running_loop().time() + 30
        while sum(len(chunk.validated.records) for chunk in self.chunks) < records:
            assert asyncio.get_running_loop().time() < deadline, f"only {self.chunks}"
            await asyncio.sleep(0.05)
        await self.app.stop()
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)


def _settings(kafka: KafkaBroker, prefix: str) -> WorkerSettings:
    return WorkerSettings(
        client_config={"bootstrap.servers": kafka.bootstrap},
        events=f"{prefix}events",
        examples=f"{prefix}examples",
        dead_letters=f"{prefix}dead-letters",
        group=f"{prefix}join",
        live=False,
        producer_delay_ms=0,
        session_seconds=6.0,
    )


def _fill(kafka: KafkaBroker, topic: str, records: int) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 20})
    for number in range(records):
        producer.produce(topic, f"value {number}".encode(), b"key", partition=number % 2)
    producer.flush(20)


async def _metadata(settings: WorkerSettings) -> dict[int, str]:
    """What the group committed, as an independent client sees it."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.client_config["bootstrap.servers"], group_id=settings.group)
    await consumer.start()
    asked = [TopicPartition(settings.events, partition) for partition in range(2)]
    answers = await consumer._coordinator.fetch_committed_offsets(asked)
    await consumer.stop()
    return {key.partition: f"{entry.offset} {entry.metadata}" for key, entry in answers.items()}


def test_reads_chunks_from_where_the_owner_says_and_commits_what_it_says(
    kafka: KafkaBroker, topics: TopicFactory
) -> None:
    settings = _settings(kafka, topics(2))
    _fill(kafka, settings.events, 3_000)
    owner = RecordingOwner({0: 0, 1: 400})
    position = CommitPosition(1500, 1200, 900, 77, 0, 5)

    async def read() -> ReadingApp:
        reading = ReadingApp(settings, owner)
        owner.to_commit = {0: position}
        await reading.read(2_600)
        return reading

    reading = asyncio.run(read())

    assert owner.points == {0: StartingPoint(None, 0, 1500), 1: StartingPoint(None, 0, 1500)}
    for partition, start in ((0, 0), (1, 400)):
        chunks = [chunk for chunk in reading.chunks if chunk.partition == partition]
        offsets = [offset for chunk in chunks for offset in chunk.validated.records.offsets]
        assert offsets == list(range(start, 1500))
        assert [chunk.follows for chunk in chunks] == [start] + [chunk.end for chunk in chunks[:-1]]
        assert max(len(chunk.validated.records) for chunk in chunks) <= CHUNK_RECORDS
    first = reading.chunks[0].validated.records.record(0)
    assert (first.topic, first.key) == (settings.events, b"key")
    assert first.value is not None and first.value.startswith(b"value ")
    assert first.append_time > 1_500_000_000_000
    assert owner.stored == {0: position}
    assert asyncio.run(_metadata(settings)) == {0: f"900 {position.encode()}{METADATA_END}"}


def test_a_later_start_is_told_what_was_committed(kafka: KafkaBroker, topics: TopicFactory) -> None:
    settings = _settings(kafka, topics(2))
    _fill(kafka, settings.events, 20)
    position = CommitPosition(10, 8, 6, None, 0, 5)

    async def read(owner: RecordingOwner, records: int) -> None:
        await ReadingApp(settings, owner).read(records)

    first = RecordingOwner({0: 0, 1: 0})
    first.to_commit = {1: position}
    asyncio.run(read(first, 20))
    second = RecordingOwner({0: 10, 1: 6})
    asyncio.run(read(second, 4))
    assert second.points == {0: StartingPoint(None, 0, 10), 1: StartingPoint(position, 0, 10)}


def test_an_owner_hears_that_nothing_is_left_to_it(kafka: KafkaBroker, topics: TopicFactory) -> None:
    settings = _settings(kafka, topics(1))
    owners = [RecordingOwner({0: 0}), RecordingOwner({0: 0})]

    async def work() -> list[list[set[int]]]:
        apps = [ReadingApp(settings, owner).app for owner in owners]
        starting = [asyncio.create_task(app.start()) for app in apps]
        deadline = asyncio.get_running_loop().time() + 60
        while (last := sorted(owner.assignments[-1:] for owner in owners)) != [[set()], [{0}]]:
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.05)
        for app, started in zip(apps, starting, strict=True):
            await app.stop()
            started.cancel()
        await asyncio.gather(*starting, return_exceptions=True)
        return last

    assert asyncio.run(work()) == [[set()], [{0}]]


def test_patience_ends_when_it_goes_on_and_begins_anew_when_it_went_well() -> None:
    now = [100.0]
    patience = Patience(lambda: now[0])
    assert not patience.ends()
    now[0] += PATIENCE_SECONDS
    assert not patience.ends()
    now[0] += 1
    assert patience.ends()
    patience.went_well()
    assert not patience.ends()


class Unseeked(BatchConsumer):
    """A consumer of a partition that nobody has positioned; the flow is what it was told."""

    faults: int = 0

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        if self.faults:
            self.faults -= 1
            raise NoOffsetForPartitionError(TopicPartition("events", 0))
        return {}

    def _get_active_partitions(self) -> Any:
        return {TopicPartition("events", 0)}


def test_a_partition_without_a_position_reads_as_nothing(experiment_file: Path) -> None:
    async def read() -> None:
        transport = BatchTransport(app.conf.broker_consumer, app, owner)
        consumer = Unseeked(transport, callback=_nobody, on_partitions_revoked=_nobody, on_partitions_assigned=_nobody)
        consumer.resume_flow()
        consumer.faults = 2
        assert await consumer._wait_next_records(0.1) == (None, None)
        assert [message async for message in consumer.getmany(0.1)] == []
        records, active = await consumer._wait_next_records(0.1)
        assert (records, active) == ({}, {TopicPartition("events", 0)})
        consumer.faults = 1
        consumer._patience = Patience(iter([0.0, PATIENCE_SECONDS + 1]).__next__)
        assert not consumer._patience.ends()
        with pytest.raises(NoOffsetForPartitionError):
            await consumer._wait_next_records(0.1)

    rule = JoinRule.from_experiment(load_experiment(experiment_file))
    owner = OwnedPartitions(rule, Codec(Registry.bundled()), "topic", lambda: 4)
    settings = WorkerSettings(
        client_config={"bootstrap.servers": "nowhere:9092"},
        events="t.events",
        examples="t.examples",
        dead_letters="t.dead-letters",
        group="t.join",
        live=False,
        producer_delay_ms=0,
    )
    app = JoinApp(settings, owner)
    asyncio.run(read())


async def _nobody(*_: Any) -> None:
    """Nothing is handed over and nothing is assigned."""
