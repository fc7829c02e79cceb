"""A log line that cannot be written raises nothing."""

from __future__ import annotations

import sys
import threading

import structlog
from structlog import _output

from producers.delivery.log_safely import log_safely
from tests.components.forking import in_child, outcome_of


def test_fields_arrive_and_failures_pass() -> None:
    written: list[tuple[str, dict[str, object]]] = []

    def write(event: str, **fields: object) -> None:
        written.append((event, fields))
        raise OSError("No space left on device")

    log_safely(write, "event dropped", what="x")
    assert written == [("event dropped", {"what": "x"})]


def tell_in_child() -> bool:
    """A thread of the parent is writing while it forks, and its pipe is full."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    log = structlog.get_logger()
    log_safely(log.info, "first")
    held, release = threading.Event(), threading.Event()

    def write() -> None:
        with _output.WRITE_LOCKS[sys.stderr]:
            held.set()
            release.wait(60)

    writer = threading.Thread(target=write)
    writer.start()
    held.wait(60)

    def child() -> bool:
        log_safely(log.info, "second")
        return True

    told = bool(in_child(child))
    release.set()
    writer.join()
    return told


def test_a_child_does_not_wait_for_a_line_of_its_parent() -> None:
    assert outcome_of(tell_in_child)
