"""What a stage hands in to be written to the log, and to whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from producers.delivery.delivery_ledger import DeliveryCounts

LARGEST_EVENT = 500_000
"""Bytes of an event: with its key (the request_id, which is part of it) it fits the million that clients send."""


@dataclass(frozen=True, slots=True)
class OutgoingEvent:
    """Bytes on their way to a topic; `record` is the Avro record's name, `partition` None means by key."""

    topic: str
    key: bytes | None
    value: bytes
    record: str
    partition: int | None = None


class EventSender(Protocol):
    """Where events are handed in. Implementations are thread-safe, and balance their counts."""

    def send(self, event: OutgoingEvent) -> None:
        """Takes the event; returns at once and raises nothing that has to do with delivery."""

    def reject(self, record: str) -> None:
        """Counts an event of type `record` that could not be made into bytes: handed in, and dropped."""

    def counts(self) -> DeliveryCounts:
        """The fates so far."""

    def flush(self, timeout_s: float) -> DeliveryCounts:
        """Waits at most `timeout_s` for open deliveries; `in_flight == 0` means all have their fate."""


@runtime_checkable
class FaultTeller(Protocol):
    """A sender that knows why it cannot deliver; one of your own need not."""

    @property
    def fault(self) -> str | None:
        """Why no event can be delivered until a person does something; None where nothing is known to stand in the way,
        also while no broker answers."""


@runtime_checkable
class SpoolTeller(Protocol):
    """A sender with a spool that may hold what is not of its own making; one of your own need not be."""

    @property
    def spool_fault(self) -> str | None:
        """What Kafka refuses of events that the spool holds and nobody hands in, such as those of a topic that is gone;
        None where it refuses none. The sender works all the same."""


@runtime_checkable
class TopicLearner(Protocol):
    """A sender that treats topics that it is handed events for unlike others that its spool may hold."""

    def expect(self, topic: str) -> None:
        """Events for `topic` will be handed in."""


def expect_topics(sender: EventSender, *topics: str) -> None:
    """Tells the sender, where it wants to know, which topics it will be handed events for."""
    if isinstance(sender, TopicLearner):
        for topic in topics:
            sender.expect(topic)


def spool_fault_of(sender: EventSender) -> str | None:
    """What Kafka refuses of the sender's spool, None from one that tells nothing."""
    return sender.spool_fault if isinstance(sender, SpoolTeller) else None


def fault_of(sender: EventSender) -> str | None:
    """The sender's fault, None from one that tells none."""
    return sender.fault if isinstance(sender, FaultTeller) else None
