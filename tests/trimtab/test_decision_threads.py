"""Work for an event loop: the loop goes on, and nothing is done twice or lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

from tests.components.forking import in_child, outcome_of
from trimtab.decision_threads import DecisionThreads

T = TypeVar("T")


def held(gate: threading.Event, done: list[str], name: str) -> Callable[[float], str]:
    """Work that waits until the gate opens."""

    def work(waited_s: float) -> str:
        assert gate.wait(30.0)
        done.append(name)
        return name

    return work


def test_the_loop_goes_on_and_results_and_errors_come_back() -> None:
    threads, gate = DecisionThreads(), threading.Event()

    def refused(waited_s: float) -> str:
        raise ValueError("no")

    async def scenario() -> list[str | BaseException]:
        asked = [asyncio.create_task(threads.run(work)) for work in (held(gate, [], "a"), refused)]
        await asyncio.wait(asked[1:])
        gate.set()  # by the loop, which therefore was not held
        return await asyncio.gather(*asked, return_exceptions=True)

    first, second = asyncio.run(scenario())
    threads.close()
    assert (first, str(second)) == ("a", "no")


def test_waiting_for_a_turn_is_told() -> None:
    now = [10.0]
    threads, gate = DecisionThreads(threads=1, timer=lambda: now[0]), threading.Event()

    async def scenario() -> float:
        first = asyncio.create_task(threads.run(held(gate, [], "a")))
        second = asyncio.create_task(threads.run(lambda waited_s: waited_s))
        await asyncio.sleep(0)
        now[0] += 0.25
        gate.set()
        await first
        return await second

    assert asyncio.run(scenario()) == 0.25
    threads.close()


def test_a_cancelled_caller_stops_what_has_not_begun_and_nothing_else() -> None:
    threads, gate, done = DecisionThreads(threads=1), threading.Event(), list[str]()

    async def scenario() -> None:
        begun = asyncio.create_task(threads.run(held(gate, done, "begun")))
        queued = asyncio.create_task(threads.run(held(gate, done, "queued")))
        last = asyncio.create_task(threads.run(held(gate, done, "last")))
        await asyncio.sleep(0)
        begun.cancel()
        queued.cancel()
        await asyncio.wait([begun, queued])
        assert begun.cancelled()
        assert queued.cancelled()
        gate.set()
        assert await last == "last"

    asyncio.run(scenario())
    threads.close()
    assert done == ["begun", "last"]


def test_the_end_waits_for_work_and_later_work_is_done_by_the_caller() -> None:
    threads, gate, done = DecisionThreads(threads=1), threading.Event(), list[str]()

    async def scenario() -> str:
        asked = [asyncio.create_task(threads.run(held(gate, done, name))) for name in ("a", "b")]
        await asyncio.sleep(0)
        gate.set()
        threads.close()
        assert done == ["a", "b"]
        await asyncio.gather(*asked)
        return await threads.run(lambda waited_s: threading.current_thread().name)

    assert asyncio.run(scenario()) == threading.main_thread().name


def test_without_another_thread_the_caller_does_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, done = DecisionThreads(threads=2), list[str]()
    gate = threading.Event()

    def no_more(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def scenario() -> None:
        first = asyncio.create_task(threads.run(held(gate, done, "first")))
        await asyncio.sleep(0)
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", no_more)
            gate.set()
            assert await threads.run(held(gate, done, "second")) == "second"
        await first

    asyncio.run(scenario())
    threads.close()  # the pool had queued the second as well
    assert sorted(done) == ["first", "second"]


def test_a_forked_child_has_threads_of_its_own() -> None:
    assert outcome_of(used_before_and_after_a_fork) == ["parent", "child"]


def used_before_and_after_a_fork() -> list[str]:
    threads = DecisionThreads()
    parent = asyncio.run(threads.run(lambda waited_s: "parent"))
    child = in_child(lambda: asyncio.run(threads.run(lambda waited_s: "child")))
    threads.close()
    return [parent, child]
