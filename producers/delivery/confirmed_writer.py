"""Writes events to Kafka for a caller that may continue only once each of them is stored.

Unlike `KafkaDelivery` it waits, and raises an error instead of spooling: its caller can read the source again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog
from confluent_kafka import KafkaError, Message

from event_schemas.errors import TrimtabError
from event_schemas.log_record import LogRecord
from producers.delivery.kafka_client import OUTPUT_MESSAGE_BYTES, ClientSetting, KafkaClient
from producers.delivery.outgoing_event import OutgoingEvent
from producers.topics.kafka_connection import unwritten
from producers.topics.kafka_refusals import EVENT_REFUSED

POLL_SECONDS = 0.1
RESTART_FIX = "check the broker, then restart: it continues from the last commit and loses nothing"

log = structlog.get_logger(__name__)


class WriteUnconfirmed(TrimtabError):
    """An event was not confirmed, so its source must not be committed; a later attempt may succeed."""


@dataclass(frozen=True, slots=True)
class RefusedEvent:
    """An event that the broker will never accept, and the record it was made from."""

    event: OutgoingEvent
    origin: LogRecord


class EventWriter(Protocol):
    """Writes events for a caller that must know that each is stored."""

    def write(self, event: OutgoingEvent, origin: LogRecord) -> None:
        """Hands in an event made from `origin`; raises WriteUnconfirmed."""

    def confirm(self) -> list[RefusedEvent]:
        """Waits until every event written so far is stored or refused for good. Returns the refused ones.

        Raises WriteUnconfirmed.
        """


class ConfirmedWriter:
    """An `EventWriter` on an idempotent producer. Everything happens on the caller's thread.

    `topic` is where most events go. It is named in the error when the client fails before it is given an event, as it
    does for a user without any Write right. WriteUnconfirmed is raised when an event is not stored within
    `delivery_seconds`, when `give_up` returns true first, and when the client dies, for example of a missing right;
    nothing more can be written then. Raises SettingError for settings that the client rejects.
    """

    def __init__(
        self,
        client_config: Mapping[str, ClientSetting],
        topic: str,
        delivery_seconds: float = 60.0,
        give_up: Callable[[], bool] = lambda: False,
    ) -> None:
        self._seconds = delivery_seconds
        self._give_up = give_up
        self._open = 0
        self._refused: list[RefusedEvent] = []
        self._failure: WriteUnconfirmed | None = None
        self._client_config = client_config
        self._topic = topic
        self._client = KafkaClient(
            {
                "linger.ms": 5,
                **client_config,
                "message.max.bytes": OUTPUT_MESSAGE_BYTES,
                "delivery.timeout.ms": int(delivery_seconds * 1000),
            }
        )

    def write(self, event: OutgoingEvent, origin: LogRecord) -> None:
        """Hands the event to the client, waiting while its queue is full; raises WriteUnconfirmed."""
        deadline = time.monotonic() + self._seconds
        report = partial(self._delivered, RefusedEvent(event, origin))
        while self._failure is None:
            fault = self._client.produce(event, report)
            if fault is None or fault.code() != KafkaError._QUEUE_FULL:
                self._open += 1
                if fault is not None:
                    report(fault)
                self._serve(0)
                return
            self._serve(POLL_SECONDS)
            if time.monotonic() > deadline:
                self._fail("the Kafka client's queue stays full")
        raise self._failure

    def confirm(self) -> list[RefusedEvent]:
        """See EventWriter. The broker refuses a whole batch when one of its events is too large for the topic. So each
        refused event is sent again, alone, before it counts as refused for good.
        """
        return [last for first in self._settled() for last in self._alone(first)]

    def close(self) -> None:
        """Gives up the events still in flight and releases the client."""
        self._client.give_up()
        self._client.release()

    def _alone(self, refusal: RefusedEvent) -> list[RefusedEvent]:
        self.write(refusal.event, refusal.origin)
        return self._settled()

    def _settled(self) -> list[RefusedEvent]:
        """Waits until every open event has its fate; returns the refused ones."""
        self._serve(0)
        while self._open and self._failure is None:
            self._client.flush(POLL_SECONDS)
            self._look_at_client()
            if self._open and self._give_up():
                self._fail("stopped before the broker confirmed")
        if self._failure is not None:
            raise self._failure
        refused, self._refused = self._refused, []
        return refused

    def _serve(self, seconds: float) -> None:
        self._client.poll(seconds)
        self._look_at_client()

    def _look_at_client(self) -> None:
        fault = self._client.fault
        if fault is not None:
            self._fail(*unwritten(fault, self._client_config, self._topic, RESTART_FIX))

    def _delivered(self, refusal: RefusedEvent, fault: KafkaError | None, _: Message | None = None) -> None:
        self._open -= 1
        event = refusal.event
        if fault is None:
            return
        if fault.code() in EVENT_REFUSED:
            log.warning("event refused", record=event.record, topic=event.topic, fault=fault.str())
            self._refused.append(refusal)
        else:
            self._fail(*unwritten(self._client.cause(fault), self._client_config, event.topic, RESTART_FIX))

    def _fail(self, what: str, fix: str = RESTART_FIX) -> None:
        self._failure = self._failure or WriteUnconfirmed(what, fix=fix)
