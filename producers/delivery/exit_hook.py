"""Closes queues and senders that a process left open when it ends: events in flight are flushed briefly, then spooled.

The hook runs when the interpreter ends, by the end of the script, by `sys.exit` or by an exception, and at the end of a
`multiprocessing` process. It does not run when a signal or `os._exit` ends the process; then the spool is adopted.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from typing import Protocol
from weakref import WeakSet

import structlog

from producers.delivery.delivery_ledger import DeliveryCounts
from producers.delivery.log_safely import log_safely

QUEUE_SECONDS = 5.0
"""How long all queues together may take to hand over their events: encoding takes time, but does no I/O."""
FLUSH_SECONDS = 2.0
"""How long the broker has to acknowledge the events sent."""
LEAST_SECONDS = 0.2
"""The minimum time for each queue and sender, even if the ones before it used up all the time."""
log = structlog.get_logger(__name__)


class Queue(Protocol):
    """Holds events that have not reached a sender yet."""

    def close(self, timeout_s: float) -> bool:
        """Hands its events over, and counts those left after `timeout_s` as dropped."""


class Sender(Protocol):
    """Holds events whose fate is open."""

    @property
    def closed(self) -> bool:
        """Whether it was closed."""

    def counts(self) -> DeliveryCounts:
        """The fates so far."""

    def close(self, timeout_s: float) -> DeliveryCounts:
        """Flushes for `timeout_s`, spools the rest, and counts the events that must be dropped."""


_queues: WeakSet[Queue] = WeakSet()
_senders: WeakSet[Sender] = WeakSet()
_hooked_in: int | None = None


def close_queue_at_exit(queue: Queue) -> None:
    """Closes `queue` when the process ends, before any sender."""
    _queues.add(queue)
    _hook_into_multiprocessing()


def close_sender_at_exit(sender: Sender) -> None:
    """Closes `sender` when the process ends, after every queue, and logs the fates of the events in flight."""
    _senders.add(sender)
    _hook_into_multiprocessing()


def _hook_into_multiprocessing() -> None:
    """Registers a `multiprocessing` finalizer: its processes run those when they end, but not always `atexit`."""
    global _hooked_in
    process = sys.modules.get("multiprocessing.process")
    if _hooked_in == os.getpid() or process is None or process.parent_process() is None:
        return
    from multiprocessing.util import Finalize

    _hooked_in = os.getpid()
    Finalize(None, _close_all, exitpriority=10)


def _close_all() -> None:
    senders = {sender: sender.counts() for sender in _senders if not sender.closed}
    deadline = time.monotonic() + QUEUE_SECONDS
    for queue in list(_queues):
        queue.close(max(deadline - time.monotonic(), LEAST_SECONDS))
    deadline = time.monotonic() + FLUSH_SECONDS
    for sender, before in senders.items():
        after = sender.close(max(deadline - time.monotonic(), LEAST_SECONDS))
        if before.in_flight or after.handed_in != before.handed_in:
            log_safely(
                log.warning,
                "the process ends with events in flight",
                acknowledged=after.acknowledged - before.acknowledged,
                spooled=after.spooled - before.spooled,
                dropped=after.dropped - before.dropped,
            )


atexit.register(_close_all)
