"""Writes examples and dead letters to Kafka and tracks the confirmation of each.

This module is steps 3 and 4 of the commit protocol in docs/guarantees.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

import structlog
from confluent_kafka import KafkaError, Message

from event_schemas.codec import Codec
from event_schemas.dead_letter import TOO_LARGE, dead_letter, left_out
from event_schemas.errors import TrimtabError
from event_schemas.log_record import LogRecord
from event_schemas.records import DEAD_LETTER, HEARTBEAT
from event_schemas.units import KIBIBYTE, MEBIBYTE
from producers.delivery import OUTPUT_MESSAGE_BYTES, KafkaClient, OutageNotice
from producers.topics import EVENT_REFUSED, unwritten
from stream_processors.partition.partition_join import Emission
from stream_processors.worker.worker_settings import WorkerSettings

log = structlog.get_logger(__name__)

BYTES_IN_FLIGHT = 64 * MEBIBYTE
POLL_SECONDS = 0.01
AT_ONCE = 1_000
"""Records passed to the client in one call."""
RESTART_FIX = "check the broker; a restarted worker continues from the last commit and loses nothing"
NOWHERE = -1
"""Source offset of a heartbeat, which is not made from an event."""


class OutputUnconfirmed(TrimtabError):
    """An output record was not confirmed; the worker must end without committing past it."""


class _Delivery:
    """Records being sent to one topic partition; once all are reported, `confirmed` gets the number stored."""

    __slots__ = ("_left", "_writer", "alone", "confirmed", "emissions", "partition", "size", "stored", "topic")

    def __init__(
        self,
        writer: ExampleWriter,
        topic: str,
        partition: int,
        emissions: Sequence[Emission],
        confirmed: Callable[[int], None],
    ) -> None:
        self._writer = writer
        self.topic = topic
        self.partition = partition
        self.emissions = emissions
        self.confirmed = confirmed
        self.alone = False
        """Whether each record is sent in a batch of its own."""
        self.size = sum([len(emission.value) for emission in emissions])
        self.stored = 0
        self._left = len(emissions)

    def __call__(self, fault: KafkaError | None, message: Message) -> None:
        """The client's delivery report for one of the records."""
        if fault is None:
            self.stored += 1
        else:
            key, value = message.key(), message.value()
            refused = next((one for one in self.emissions if one.value == value and one.key == key), None)
            self._writer.refused(self, refused, fault)
        self.reported()

    def reported(self) -> None:
        """Note that the outcome of one more record is known."""
        self._left -= 1
        if not self._left:
            self._writer.done(self)


class ExampleWriter:
    """Writes with an idempotent producer and tracks which records are confirmed.

    Everything runs on the caller's thread. `serve` processes delivery reports and calls the `confirmed` function passed
    to `write` with the number of its records that the broker has newly stored. The broker refuses whole batches, so the
    records of a refused batch are sent again one by one. An example that is refused even alone becomes a dead letter
    with reason `too_large` and counts as stored once that letter is. Any other failure is final: it is kept in
    `failure`, and nothing more is confirmed.
    """

    def __init__(self, settings: WorkerSettings, codec: Codec) -> None:
        self._settings = settings
        self._codec = codec
        self._outstanding = 0
        self._outstanding_bytes = 0
        self._outage = OutageNotice(settings.client_config)
        self._failure: OutputUnconfirmed | None = None
        self._client = self._connect({"linger.ms": 20})
        self._single: KafkaClient | None = None

    @property
    def outstanding(self) -> int:
        """Number of records passed to the client and not yet confirmed."""
        return self._outstanding

    @property
    def failure(self) -> OutputUnconfirmed | None:
        """The failure after which nothing more is confirmed, if any."""
        return self._failure

    def write(self, partition: int, emissions: Sequence[Emission], confirmed: Callable[[int], None]) -> None:
        """Step 3: pass emissions to the client in their order, for the partition that their events came from.

        Pass at most `AT_ONCE` of them, and only while the writer is not `full`.
        """
        for kind, run in groupby(emissions, key=lambda emission: emission.kind):
            topic = self._settings.examples if kind == "example" else self._settings.dead_letters
            self._send(_Delivery(self, topic, partition, list(run), confirmed), self._client)

    def write_heartbeat(self, partition: int, event_time: int) -> None:
        """Assert in a partition of the events topic that no event earlier than `event_time` (ms) will follow."""
        value = self._codec.encode(HEARTBEAT, {"event_time": event_time})
        heartbeat = Emission("heartbeat", None, value, NOWHERE, None)
        self._send(_Delivery(self, self._settings.events, partition, [heartbeat], _nothing), self._client)

    def serve(self) -> None:
        """Step 4: process the delivery reports that have arrived, without waiting."""
        for client in self._clients():
            client.poll(0)
            if client.fault is not None:
                self._fail(client.fault, self._settings.examples)
        self._outage.look()

    @property
    def full(self) -> bool:
        """Whether so many records are unconfirmed that no more should be written for now."""
        return self._outstanding >= self._settings.records_in_flight or self._outstanding_bytes >= BYTES_IN_FLIGHT

    async def wait_for_room(self) -> None:
        """Wait while `full`; raises OutputUnconfirmed."""
        while self.full and self._failure is None:
            self.serve()
            await asyncio.sleep(POLL_SECONDS)
        if self._failure is not None:
            raise self._failure

    async def drain(self, timeout_s: float) -> bool:
        """Wait until everything is confirmed; False if something failed or is still unconfirmed after `timeout_s`."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while self._outstanding and self._failure is None and asyncio.get_running_loop().time() < deadline:
            self.serve()
            await asyncio.sleep(POLL_SECONDS)
        return not self._outstanding and self._failure is None

    def close(self) -> None:
        """Give up on unconfirmed records and release the clients."""
        for client in self._clients():
            client.give_up()
            client.release()

    def done(self, delivery: _Delivery) -> None:
        """Note that the outcome of every record of a delivery is known; refused ones are already being sent again."""
        self._outstanding -= len(delivery.emissions)
        self._outstanding_bytes -= delivery.size
        if delivery.stored:
            self._outage.works()
            if self._failure is None:
                delivery.confirmed(delivery.stored)

    def refused(self, delivery: _Delivery, emission: Emission | None, fault: KafkaError) -> None:
        """Handle a record that was not stored: send it alone, turn it into a dead letter, or fail for good."""
        of_example = delivery.topic == self._settings.examples
        if emission is None or fault.code() not in EVENT_REFUSED or (delivery.alone and not of_example):
            self._fail(self._client.cause(fault), delivery.topic)
            return
        again = _Delivery(self, delivery.topic, delivery.partition, [emission], delivery.confirmed)
        if delivery.alone:
            log.error(
                "example refused",
                partition=delivery.partition,
                offset=emission.source_offset,
                request_id=emission.request_id,
                bytes=len(emission.value),
                fault=fault.str(),
            )
            again.topic, again.emissions = self._settings.dead_letters, [self._dead_letter(delivery, emission, fault)]
            self._send(again, self._client)
            return
        again.alone = True
        self._single = self._single or self._connect({"batch.num.messages": 1})
        self._send(again, self._single)

    def _clients(self) -> list[KafkaClient]:
        return [self._client] if self._single is None else [self._client, self._single]

    def _send(self, delivery: _Delivery, client: KafkaClient) -> None:
        emissions = delivery.emissions
        self._outstanding += len(emissions)
        self._outstanding_bytes += delivery.size
        messages: list[dict[str, Any]] = [{"value": emission.value, "key": emission.key} for emission in emissions]
        faults = client.produce_batch(delivery.topic, messages, delivery.partition, delivery)
        for place, fault in faults.items():
            self.refused(delivery, emissions[place], fault)
            delivery.reported()

    def _connect(self, paces: Mapping[str, int]) -> KafkaClient:
        return KafkaClient(
            {
                **self._settings.client_config,
                "message.max.bytes": OUTPUT_MESSAGE_BYTES,
                "delivery.timeout.ms": int(self._settings.delivery_seconds * 1000),
                "queue.buffering.max.messages": 2 * (self._settings.records_in_flight + AT_ONCE),
                "queue.buffering.max.kbytes": 4 * BYTES_IN_FLIGHT // KIBIBYTE,
                **paces,
            },
            "trimtab.stream_processors",
            self._outage.note,
        )

    def _dead_letter(self, delivery: _Delivery, emission: Emission, fault: KafkaError) -> Emission:
        """The dead letter for a refused example, at the offset the example came from; it contains no event."""
        place = LogRecord(self._settings.events, delivery.partition, emission.source_offset, 0, emission.key, None)
        detail = f"refused: {fault.str()}; {left_out('example', emission.value)}"
        letter = dead_letter(place, TOO_LARGE, detail, emission.request_id)
        value = self._codec.encode(DEAD_LETTER, letter)
        return Emission("dead_letter", letter["key"], value, emission.source_offset, None)

    def _fail(self, fault: KafkaError, topic: str) -> None:
        if self._failure is None:
            what, fix = unwritten(fault, self._settings.client_config, topic, RESTART_FIX)
            self._failure = OutputUnconfirmed(what, fix=fix)


def _nothing(_: int) -> None:
    """The confirmation callback of a heartbeat, which no chunk waits for."""
