"""Examples and dead letters to Kafka, each one confirmed.

The numbers are those of the commit protocol in docs/guarantees.md: this module is steps 3 and 4.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from event_schemas.codec import Codec
from event_schemas.errors import TrimtabError
from event_schemas.records import DEAD_LETTER, HEARTBEAT
from stream_processors.partition_join import Emission
from stream_processors.worker_settings import WorkerSettings

log = structlog.get_logger(__name__)

MESSAGE_BYTES = 8 * 1_048_576
BYTES_IN_FLIGHT = 64 * 1_048_576
TOO_LARGE = "too_large"
POLL_SECONDS = 0.01
# The broker or client looked at the record itself and refused it: sending it again cannot help.
PERMANENT = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_MSG,
    }
)


class DeliveryFailed(TrimtabError):
    """An output record was not confirmed; the worker must end without committing past it."""


@dataclass(frozen=True, slots=True)
class _Outgoing:
    """One record on its way; `confirmed` is called once, when the broker has it."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes
    request_id: str | None
    source_offset: int
    confirmed: Callable[[], None]


class ExampleWriter:
    """Writes with an idempotent producer and knows what is confirmed.

    Everything happens on the caller's thread: delivery reports are served by `serve`, which calls the `confirmed`
    function of each record the broker has stored. A record that the broker refuses for what it is becomes a dead
    letter with reason `too_large`, and its `confirmed` is called for that one. Any other failure is final: it is kept
    in `failure`, and nothing more is confirmed.
    """

    def __init__(self, settings: WorkerSettings, codec: Codec) -> None:
        self._settings = settings
        self._codec = codec
        self._outstanding = 0
        self._outstanding_bytes = 0
        self._connected = True
        self._failure: DeliveryFailed | None = None
        self._producer = Producer(
            {
                **settings.client_config,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": 20,
                "message.max.bytes": MESSAGE_BYTES,
                "delivery.timeout.ms": int(settings.delivery_seconds * 1000),
                "queue.buffering.max.messages": 2 * settings.records_in_flight,
                "queue.buffering.max.kbytes": 4 * BYTES_IN_FLIGHT // 1024,
                "error_cb": self._client_error,
            },
            logger=logging.getLogger("trimtab.stream_processors"),
        )

    @property
    def outstanding(self) -> int:
        """Records handed to the client and not yet confirmed."""
        return self._outstanding

    @property
    def failure(self) -> DeliveryFailed | None:
        """The failure that ended the writing, if any."""
        return self._failure

    def write(self, partition: int, emission: Emission, confirmed: Callable[[], None]) -> None:
        """Step 3: hand one emission to the client, into the partition its events came from."""
        topic = self._settings.examples if emission.kind == "example" else self._settings.dead_letters
        self._send(
            _Outgoing(
                topic, partition, emission.key, emission.value, emission.request_id, emission.source_offset, confirmed
            )
        )

    def write_heartbeat(self, partition: int, event_time: int) -> None:
        """Assert in a partition of the events topic that nothing earlier than `event_time` (ms) is to be expected."""
        value = self._codec.encode(HEARTBEAT, {"event_time": event_time})
        self._send(_Outgoing(self._settings.events, partition, None, value, None, -1, _nothing))

    def serve(self) -> None:
        """Step 4: serve the delivery reports that have come in; never waits."""
        self._producer.poll(0)

    @property
    def full(self) -> bool:
        """Whether so much is on its way that `write` should wait."""
        return self._outstanding >= self._settings.records_in_flight or self._outstanding_bytes >= BYTES_IN_FLIGHT

    async def wait_for_room(self) -> None:
        """Wait while `full`; raises DeliveryFailed."""
        while self.full and self._failure is None:
            self.serve()
            await asyncio.sleep(POLL_SECONDS)
        if self._failure is not None:
            raise self._failure

    async def drain(self, timeout_s: float) -> bool:
        """Wait until everything is confirmed; False when something is not after `timeout_s`, or has failed."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while self._outstanding and self._failure is None and asyncio.get_running_loop().time() < deadline:
            self.serve()
            await asyncio.sleep(POLL_SECONDS)
        return not self._outstanding and self._failure is None

    def close(self) -> None:
        """Give up what is still on its way and release the client."""
        self._producer.purge()
        self._producer.flush(1.0)

    def _send(self, record: _Outgoing) -> None:
        self._outstanding += 1
        self._outstanding_bytes += len(record.value)
        try:
            self._producer.produce(
                record.topic,
                record.value,
                record.key,
                record.partition,
                on_delivery=partial(self._delivered, record),
            )
        except BufferError:
            self._fail(f"the client's queue is full at {record.topic}[{record.partition}]")
        except KafkaException as refused:
            self._settle(record, refused.args[0])

    def _delivered(self, record: _Outgoing, fault: KafkaError | None, _: Message) -> None:
        self._settle(record, fault)

    def _settle(self, record: _Outgoing, fault: KafkaError | None) -> None:
        self._outstanding -= 1
        self._outstanding_bytes -= len(record.value)
        if fault is None:
            self._connected = True
            if self._failure is None:
                record.confirmed()
        elif fault.code() in PERMANENT and record.topic == self._settings.examples:
            log.error("example refused", request_id=record.request_id, bytes=len(record.value), fault=fault.str())
            self._send(self._dead_letter(record, fault))
        else:
            self._fail(f"{record.topic}[{record.partition}] did not take a record: {fault.str()}")

    def _dead_letter(self, record: _Outgoing, fault: KafkaError) -> _Outgoing:
        digest = hashlib.sha256(record.value).hexdigest()
        letter = {
            "reason": TOO_LARGE,
            "detail": f"example of {len(record.value)} bytes (SHA-256 {digest}) refused: {fault.str()}",
            "topic": self._settings.events,
            "partition": record.partition,
            "offset": record.source_offset,
            "key": record.key,
            "value": None,
            "event_time": None,
            "request_id": record.request_id,
        }
        value = self._codec.encode(DEAD_LETTER, letter)
        return _Outgoing(
            self._settings.dead_letters,
            record.partition,
            record.key,
            value,
            record.request_id,
            record.source_offset,
            record.confirmed,
        )

    def _client_error(self, fault: KafkaError) -> None:
        if fault.fatal():
            self._fail(f"the producer cannot go on: {fault.str()}")
        elif fault.code() == KafkaError._ALL_BROKERS_DOWN and self._connected:
            self._connected = False
            log.warning("no broker answers", outstanding=self._outstanding)

    def _fail(self, what: str) -> None:
        if self._failure is None:
            self._failure = DeliveryFailed(
                what, mend="see to the broker; a restarted worker goes on from the last commit and loses nothing"
            )


def _nothing() -> None:
    """A heartbeat belongs to no step."""
