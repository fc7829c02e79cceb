"""Inference inside a budget of time: what does not finish is abandoned, and the caller goes on without it."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Protocol, TypeVar

from event_schemas.process_fork import renew_in_children

T = TypeVar("T")


class BudgetExceeded(Exception):
    """The work did not finish in time; private to the serving path, where it becomes FALLBACK `time_out`."""


class Cancellable(Protocol):
    """A flag that a running inference looks at between two of its steps."""

    terminate: bool


class InferenceBudget:
    """A few worker threads with a deadline per call.

    Calls that find every worker busy wait inside their own deadline for one to be free, so overload turns into
    `time_out` fallbacks and nothing is ever queued: a worker that hangs holds its own call and no other. A call that
    has started is told to stop when it is abandoned. A forked child has workers of its own.
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
            # Cancelled: the agent was closed in this very moment.
            future.cancel()
            flag.terminate = True
            raise BudgetExceeded from None

    def after_fork(self) -> None:
        """The threads, and the calls that hold them, are the parent's."""
        self._begin()

    def _begin(self) -> None:
        """Starts nothing: the pool makes its threads when they are needed."""
        self._pool = ThreadPoolExecutor(max_workers=self._workers, thread_name_prefix="trimtab-inference")
        self._free = threading.Semaphore(self._workers)

    def _start(self, work: Callable[[], T]) -> Future[T]:
        """The work on a worker that is free; it is free again when the work has really ended."""
        try:
            future = self._pool.submit(work)
        except RuntimeError:
            # The pool was closed meanwhile, or the process may not start another thread.
            self._free.release()
            raise BudgetExceeded from None
        future.add_done_callback(lambda _: self._free.release())
        return future

    def close(self) -> None:
        """Refuse further work and let the workers go; running work ends on its own."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
