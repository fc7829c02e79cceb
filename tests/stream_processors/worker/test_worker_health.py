"""A worker's health: alive while the loop turns, ready once it has partitions, state and a producer."""

from __future__ import annotations

import asyncio

import pytest

from stream_processors.worker.worker_health import ALIVE_SECONDS, STALLED_SECONDS, START_SECONDS, WorkerHealth


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def beaten(clock: Clock) -> WorkerHealth:
    """A worker whose loop has turned once, now."""

    async def one_turn() -> None:
        beating = asyncio.create_task(health.beat())
        await asyncio.sleep(0)
        beating.cancel()

    health = WorkerHealth(clock)
    asyncio.run(one_turn())
    return health


def test_a_loop_that_stands_still_is_not_alive() -> None:
    clock = Clock()
    health = beaten(clock)
    clock.now += ALIVE_SECONDS
    assert health.unhealthy() == []
    clock.now += 1
    assert health.unhealthy() == ["the event loop has not run for 6 s"]
    assert health.unhealthy()[0] in health.unready()


def test_a_start_may_take_longer() -> None:
    clock = Clock()
    health = WorkerHealth(clock)
    clock.now += START_SECONDS
    assert health.unhealthy() == []
    clock.now += 1
    assert health.unhealthy() != []


def test_it_is_ready_with_partitions_their_state_and_a_producer() -> None:
    health = beaten(Clock())
    assert health.unready() == ["no partitions assigned yet"]
    health.assigned("app", {"events-0"})
    health.rebuilding({0: 0, 1: 120})
    assert health.unready() == ["partition 1: 120 records left to rebuild"]
    health.rebuilding({0: 0, 1: 0})
    assert health.unready() == []
    health.topics(["2 partitions were added"])
    assert health.unready() == ["2 partitions were added"]
    health.topics([])
    health.revoked("app", set())
    assert health.unready() == ["no partitions assigned yet"]


@pytest.mark.parametrize(
    ("failure", "stalled", "outstanding", "reason"),
    [
        (None, STALLED_SECONDS, 5, None),
        (None, 99.0, 0, None),
        (None, STALLED_SECONDS + 1, 5, "5 outputs wait for the broker, none confirmed for 11 s"),
        (RuntimeError("refused"), 0.0, 0, "producer failed: refused"),
    ],
)
def test_the_producer_is_part_of_it(
    failure: Exception | None, stalled: float, outstanding: int, reason: str | None
) -> None:
    health = beaten(Clock())
    health.assigned()
    health.writing(failure, stalled, outstanding)
    assert health.unready() == ([] if reason is None else [reason])
    health.writing(None, 0.0, 0)
    assert health.unready() == []


def test_a_stopping_worker_is_alive_but_not_ready() -> None:
    health = beaten(Clock())
    health.assigned()
    health.stopping()
    assert (health.unhealthy(), health.unready()) == ([], ["stopping"])
