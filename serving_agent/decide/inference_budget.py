"""Inference with a time budget: work that does not finish in time is abandoned, and the caller continues without it."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Protocol, TypeVar

from event_schemas.process_fork import renew_in_children

T = TypeVar("T")


class BudgetExceeded(Exception):
    """The work did not finish in time. It stays inside the serving path, which turns it into FALLBACK `time_out`."""


class Cancellable(Protocol):
    """A flag that a running inference checks between its steps."""

    terminate: bool


class InferenceBudget:
    """A few worker threads with a deadline per call.

    If every worker is busy, a call waits until one is free or its own deadline passes. So overload causes `time_out`
    fallbacks, nothing is queued, and a worker that hangs blocks only its own call. An abandoned call that has started
    is told to stop. A forked child has its own workers.
    """

    def __init__(self, workers: int = 2) -> None:
        self._workers = workers
        self._closed = False
        self._begin()
        renew_in_children(self)

    def run(self, work: Callable[[], T], seconds: float, flag: Cancellable) -> T:
        """The result of `work()`; raises BudgetExceeded after `seconds`, or whatever `work` raises."""
        deadline = time.monotonic() + seconds
        if seconds <= 0 or self._closed or not self._free.acquire(timeout=seconds):
            raise BudgetExceeded
        future = self._start(work)
        try:
            return future.result(timeout=max(deadline - time.monotonic(), 0.0))
        except (FutureTimeout, CancelledError):
            # It is cancelled if the agent was closed at this moment.
            future.cancel()
            flag.terminate = True
            raise BudgetExceeded from None

    def after_fork(self) -> None:
        """Starts with new workers; the parent keeps its threads and calls."""
        self._begin()

    def _begin(self) -> None:
        """Creates the pool; it starts its threads only when they are needed."""
        self._pool = ThreadPoolExecutor(max_workers=self._workers, thread_name_prefix="trimtab-inference")
        self._free = threading.Semaphore(self._workers)

    def _start(self, work: Callable[[], T]) -> Future[T]:
        """Runs the work on a free worker, which becomes free again only when the work has really ended."""
        try:
            future = self._pool.submit(work)
        except RuntimeError:
            # The pool was closed in the meantime, or the process cannot start another thread.
            self._free.release()
            raise BudgetExceeded from None
        future.add_done_callback(lambda _: self._free.release())
        return future

    def close(self) -> None:
        """Refuses further work and releases the workers; running work ends on its own."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
