"""Reading is patient before the first seek, but not for ever."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import NoOffsetForPartitionError

from event_schemas.codec import Codec
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from stream_processors.rule.join_rule import JoinRule
from stream_processors.worker.batch_transport import BatchConsumer
from stream_processors.worker.faust_app import JoinApp
from stream_processors.worker.owned_partitions import OwnedPartitions
from stream_processors.worker.patient_transport import PATIENCE_SECONDS, Patience, PatientConsumer, PatientTransport
from stream_processors.worker.worker_settings import WorkerSettings


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


class UnseekedPatient(PatientConsumer, Unseeked):
    """The same with patience."""


def test_a_partition_without_a_position_reads_as_nothing(experiment_file: Path) -> None:
    async def read() -> None:
        transport = PatientTransport(app.conf.broker_consumer, app, owner)
        consumer = UnseekedPatient(
            transport, callback=_nobody, on_partitions_revoked=_nobody, on_partitions_assigned=_nobody
        )
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
