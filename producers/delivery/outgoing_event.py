"""The events that a stage hands in to be written to the log, and the senders that deliver them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from producers.delivery.delivery_ledger import DeliveryCounts

LARGEST_EVENT = 500_000
"""Maximum size of an event in bytes: with its key, which is at most as long, it fits the 1 MB that clients send."""


@dataclass(frozen=True, slots=True)
class OutgoingEvent:
    """An encoded event for a topic; `record` is the Avro record's name; with `partition` None the key decides.

    A process is unready while Kafka refuses an `essential` event; others only wait in the spool.
    """

    topic: str
    key: bytes | None
    value: bytes
    record: str
    partition: int | None = None
    essential: bool = True


class EventSender(Protocol):
    """Accepts events for delivery. Implementations are thread-safe, and every event is counted once."""

    def send(self, event: OutgoingEvent) -> None:
        """Accepts the event and returns at once; never raises because of delivery."""

    def reject(self, record: str) -> None:
        """Counts an event of type `record` that could not be encoded as handed in and dropped."""

    def counts(self) -> DeliveryCounts:
        """The fates so far."""

    def flush(self, timeout_s: float) -> DeliveryCounts:
        """Waits at most `timeout_s` for open deliveries; `in_flight == 0` means that every event has its fate."""


@runtime_checkable
class FaultTeller(Protocol):
    """A sender that can say why it does not deliver; optional for senders of your own."""

    @property
    def fault(self) -> str | None:
        """Why no event can be delivered until a person fixes something; None when no such reason is known, as while no
        broker answers."""


@runtime_checkable
class SpoolTeller(Protocol):
    """A sender whose spool may hold events of other processes; optional for senders of your own."""

    @property
    def spool_fault(self) -> str | None:
        """Why Kafka refuses events in the spool for topics that get no new events from this process, such as a deleted
        topic; None when it refuses none. The sender works nevertheless."""


@runtime_checkable
class TopicLearner(Protocol):
    """A sender that distinguishes the topics it is handed events for from others in its spool."""

    def expect(self, topic: str) -> None:
        """Notes that events for `topic` will be handed in."""


def expect_topics(sender: EventSender, *topics: str) -> None:
    """Tells a TopicLearner which topics it will be handed events for; does nothing for other senders."""
    if isinstance(sender, TopicLearner):
        for topic in topics:
            sender.expect(topic)


def spool_fault_of(sender: EventSender) -> str | None:
    """The sender's `spool_fault`; None if it has no such property."""
    return sender.spool_fault if isinstance(sender, SpoolTeller) else None


def fault_of(sender: EventSender) -> str | None:
    """The sender's `fault`; None if it has no such property."""
    return sender.fault if isinstance(sender, FaultTeller) else None
