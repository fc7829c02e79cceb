"""Recognises and retries faults that pass by themselves because a consumer group's coordinator is moving."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import stamina
from confluent_kafka import KafkaError, KafkaException

MOVING = frozenset(
    {
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
    }
)
LONGEST_PAUSE_SECONDS = 1.0
Answer = TypeVar("Answer")


def ask_coordinator(ask: Callable[[], Answer], seconds: float) -> Answer:
    """What `ask` returns; while the coordinator is moving it is asked again, for about this long."""
    for attempt in stamina.retry_context(
        on=coordinator_is_moving, attempts=None, timeout=seconds, wait_max=LONGEST_PAUSE_SECONDS
    ):
        with attempt:
            return ask()
    raise AssertionError("stamina either returns or raises")


def coordinator_is_moving(fault: Exception) -> bool:
    """Whether a retry will probably succeed soon: the coordinator is being found, moved or loaded."""
    return isinstance(fault, KafkaException) and fault.args[0].code() in MOVING
