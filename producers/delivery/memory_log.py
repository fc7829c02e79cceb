"""A partitioned log in memory: the sender that tests, examples and offline runs use instead of Kafka."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable

from event_schemas.instant import wall_clock_ms
from event_schemas.log_record import LogRecord
from event_schemas.process_fork import renew_in_children
from producers.delivery.delivery_ledger import DeliveryCounts, DeliveryLedger
from producers.delivery.outgoing_event import OutgoingEvent
from producers.topics.key_partition import partition_of


class MemoryLog:
    """An `EventSender` that keeps everything it is sent, partitioned by key as Kafka does.

    Records without key and partition are spread round-robin. `clock` gives the append time of each record
    (milliseconds since the epoch).
    """

    def __init__(self, partitions: int = 4, clock: Callable[[], int] = wall_clock_ms) -> None:
        self.partitions = partitions
        self._clock = clock
        self._lock = threading.Lock()
        self._ledger = DeliveryLedger()
        self._keyless = 0
        self._logs: dict[str, list[list[LogRecord]]] = defaultdict(lambda: [[] for _ in range(partitions)])
        renew_in_children(self)

    @property
    def fault(self) -> str | None:
        """None: memory accepts everything."""
        return None

    def after_fork(self) -> None:
        """Renews the lock; a child continues with a copy of the records."""
        self._lock = threading.Lock()

    def send(self, event: OutgoingEvent) -> None:
        """Appends the event; it is acknowledged at once."""
        with self._lock:
            partition = self._partition(event)
            log = self._logs[event.topic][partition]
            log.append(LogRecord(event.topic, partition, len(log), self._clock(), event.key, event.value))
        self._ledger.hand_in(event.record)
        self._ledger.settle(event.record, "acknowledged")

    def reject(self, record: str) -> None:
        """Counts an event that could not be encoded as handed in and dropped."""
        self._ledger.hand_in(record)
        self._ledger.settle(record, "dropped")

    def counts(self) -> DeliveryCounts:
        """The fates so far."""
        return self._ledger.counts()

    def flush(self, timeout_s: float = 0.0) -> DeliveryCounts:
        """The fates so far; `timeout_s` is not used."""
        del timeout_s  # nothing is ever in flight here
        return self.counts()

    def close(self) -> DeliveryCounts:
        """The fates so far; the records stay readable."""
        return self.counts()

    def records(self, topic: str) -> list[LogRecord]:
        """Every record of `topic`, partition by partition, in offset order."""
        with self._lock:
            return [record for log in self._logs.get(topic, []) for record in log]

    def partition_records(self, topic: str, partition: int) -> list[LogRecord]:
        """The records of one partition of `topic`, in offset order."""
        with self._lock:
            return list(self._logs[topic][partition]) if topic in self._logs else []

    def _partition(self, event: OutgoingEvent) -> int:
        if event.partition is not None:
            if not 0 <= event.partition < self.partitions:
                raise ValueError(f"partition {event.partition} of {event.topic} is not in 0…{self.partitions - 1}")
            return event.partition
        if event.key is not None:
            return partition_of(event.key, self.partitions)
        self._keyless += 1
        return (self._keyless - 1) % self.partitions
