"""Logs that no broker answers and why, once for each reason until a broker accepts an event again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from confluent_kafka import KafkaError

from producers.delivery.log_safely import log_safely
from producers.topics.kafka_connection import REASONS, Attempt, ConnectionFaults, unreachable

REASON_SECONDS = 1.0
"""How long to wait for the reason: the client may report that all brokers are down before it reports why."""
log = structlog.get_logger(__name__)


class OutageNotice:
    """Collects the connection faults of a client with `client_config`; `look` logs them when due.

    `clock` is in seconds.
    """

    def __init__(self, client_config: Mapping[str, Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._client_config = client_config
        self._clock = clock
        self._faults = ConnectionFaults()
        self._due: float | None = None
        self._worked = False
        self._told: set[frozenset[int]] = set()

    def note(self, fault: KafkaError) -> None:
        """Notes a fault that the client's error callback received."""
        self._faults(fault)
        if fault.code() == KafkaError._ALL_BROKERS_DOWN and self._due is None:
            self._due = self._clock() + REASON_SECONDS

    def works(self) -> None:
        """Notes that a broker accepted an event, and forgets earlier faults."""
        if self._due is not None or self._told or not self._worked:
            self._worked, self._due, self._faults = True, None, ConnectionFaults()
            self._told.clear()

    def look(self) -> None:
        """Logs a fault that is due. Call this often.

        A client that has worked and gives no reason is idle: the broker closed its connection, and nothing is logged.
        """
        if self._due is None or self._clock() < self._due:
            return
        self._due = None
        why = self._faults.codes.intersection(REASONS)
        if (why or not self._worked) and why not in self._told:
            self._told.add(why)
            told = unreachable(self._client_config, Attempt("Write", "events", ""), "", self._faults)
            log_safely(log.warning, "no broker accepts events", fault=told.what, fix=told.fix)
        self._faults = ConnectionFaults()
