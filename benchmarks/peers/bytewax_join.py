"""Bytewax: a stateful batch operator keyed by partition, because the windowing operators only close at the end.

Run with `python -m bytewax.run benchmarks.peers.bytewax_join`; it runs without recovery, so nothing is durable.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from confluent_kafka import OFFSET_BEGINNING

from benchmarks.peers.attribution_job import Job, encode_example
from benchmarks.peers.open_decisions import OpenDecisions

BATCH = 1_000
job = Job.from_environment()
gc.disable()  # records are never in cycles, and searching the open ones for cycles takes half of the time


class PartitionLogic(StatefulBatchLogic):  # type: ignore[misc]  # untyped here: it lives in the peers' environment
    """The open decisions of the partition that is the key."""

    def __init__(self, kept: OpenDecisions | None) -> None:
        self._decisions = kept

    def on_batch(self, values: list[tuple[int, int, bytes]]) -> tuple[Iterable[tuple[str, bytes]], bool]:
        job.started()
        if self._decisions is None:
            self._decisions = OpenDecisions(values[0][0])
        for _, offset, value in values:
            self._decisions.take(value, offset)
        return [(request_id, encode_example(example)) for request_id, example in self._decisions.closed()], False

    def snapshot(self) -> OpenDecisions | None:
        return self._decisions


def _keyed(messages: list[Any]) -> list[tuple[str, tuple[int, int, bytes]]]:
    return [(str(m.partition), (m.partition, m.offset, m.value)) for m in messages]


def _written(examples: list[tuple[str, tuple[str, bytes]]]) -> list[KafkaSinkMessage]:
    return [KafkaSinkMessage(request_id.encode(), value) for _, (request_id, value) in examples]


flow = Dataflow("attribution")
source = KafkaSource([job.bootstrap], [job.events_topic], starting_offset=OFFSET_BEGINNING, batch_size=BATCH)
events = op.flat_map_batch("key", op.input("events", flow, source), _keyed)
joined = op.stateful_batch("join", events, PartitionLogic)
op.output("examples", op.flat_map_batch("write", joined, _written), KafkaSink([job.bootstrap], job.output_topic))
