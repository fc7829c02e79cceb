"""Delivers events to the broker without making callers wait: a queue, a client, a spool on disk, and counts.

Reads the spool that this process, or one that died, has left on disk.
Writes to any topic it is given events for, and to the spool while the broker does not answer.
Guarantees that `send` never waits for the broker, that acknowledged + spooled + dropped = handed in, and that events
of one key keep their order.
Fails without raising to the caller of `send`: errors are counted, logged and shown in `/readyz`.
"""

from producers.delivery.confirmed_writer import ConfirmedWriter
from producers.delivery.delivery_ledger import DeliveryCounts
from producers.delivery.delivery_spool import DeliverySpool
from producers.delivery.kafka_client import OUTPUT_MESSAGE_BYTES, KafkaClient
from producers.delivery.kafka_delivery import KafkaDelivery
from producers.delivery.log_safely import log_safely
from producers.delivery.memory_log import MemoryLog
from producers.delivery.outage_notice import OutageNotice
from producers.delivery.outgoing_event import EventSender, OutgoingEvent, expect_topics, fault_of, spool_fault_of

__all__ = [
    "ConfirmedWriter",
    "DeliveryCounts",
    "DeliverySpool",
    "EventSender",
    "KafkaClient",
    "KafkaDelivery",
    "MemoryLog",
    "OUTPUT_MESSAGE_BYTES",
    "OutageNotice",
    "OutgoingEvent",
    "expect_topics",
    "fault_of",
    "log_safely",
    "spool_fault_of",
]
