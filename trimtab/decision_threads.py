"""Threads that decide for an event loop, which must not block while a policy is evaluated."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from event_schemas.process_fork import renew_in_children

T = TypeVar("T")
THREADS = 8
"""Number of decisions of one node that run at once; others wait for their turn."""
Work = Callable[[float], T]
"""Receives the number of seconds it waited for its turn."""


class DecisionThreads:
    """A few threads, started when they are needed. A forked child has threads of its own."""

    def __init__(self, threads: int = THREADS, timer: Callable[[], float] = time.perf_counter) -> None:
        self._threads = threads
        self._timer = timer
        self._closed = False
        self._begin()
        renew_in_children(self)

    async def run(self, work: Work[T]) -> T:
        """The result of `work`, or what it raises; the loop goes on meanwhile.

        If the caller is cancelled before its turn, nothing runs; after that the work runs to completion and its
        result is dropped. If no thread can be started, and after `close`, the work runs in the loop's own thread.
        """
        result: Future[T] = Future()
        turn = partial(self._take_turn, result, [work], self._timer())
        try:
            self._pool.submit(turn)
        except RuntimeError:
            turn()
        return await asyncio.wrap_future(result)

    def close(self) -> None:
        """Waits for what is under way and for what waits for its turn."""
        self._closed = True
        self._pool.shutdown()

    def after_fork(self) -> None:
        """The threads, and the work that they do, are the parent's."""
        self._begin()

    def _begin(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=self._threads, thread_name_prefix="trimtab-decide")
        if self._closed:
            self._pool.shutdown()

    def _take_turn(self, result: Future[T], unclaimed: list[Work[T]], asked_at: float) -> None:
        """Does the work once: a pool that could not start a thread has queued it all the same."""
        try:
            work = unclaimed.pop()
        except IndexError:
            return
        if not result.set_running_or_notify_cancel():
            return
        try:
            result.set_result(work(self._timer() - asked_at))
        except BaseException as fault:
            result.set_exception(fault)
