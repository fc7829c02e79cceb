"""Both implementations of the policy store, for the suites that must hold on each."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from event_schemas.instant import wall_clock_ms
from policy_store.backends.memory_store import MemoryStore
from policy_store.backends.redis_store import RedisStore
from tests.policy_store.foreign_hands import MemoryHands, RedisHands
from tests.policy_store.store_samples import StoreBench, fresh_experiment


@pytest.fixture
def memory_bench() -> StoreBench:
    passed = [0]

    def let_pass(milliseconds: int) -> None:
        passed[0] += milliseconds

    store = MemoryStore(fresh_experiment(), clock=lambda: wall_clock_ms() + passed[0])
    return StoreBench(store, store, let_pass, MemoryHands(store))


@pytest.fixture
def redis_bench(redis_url: str) -> Iterator[StoreBench]:
    name = fresh_experiment()
    store, second = RedisStore(redis_url, name), RedisStore(redis_url, name)
    hands = RedisHands(store, redis_url)
    yield StoreBench(store, second, lambda milliseconds: time.sleep(milliseconds / 1000), hands)
    hands.close()
    store.close()
    second.close()


@pytest.fixture(params=["memory", "redis"])
def bench(request: pytest.FixtureRequest) -> StoreBench:
    made = request.getfixturevalue(f"{request.param}_bench")
    assert isinstance(made, StoreBench)
    return made
