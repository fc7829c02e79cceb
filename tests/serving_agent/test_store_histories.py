"""Any history of a store: kills hold, resumes lift, decisions never go back, and a re-base repairs the far future."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from event_schemas.units import HOUR_MS
from policy_store.backends.memory_store import MemoryStore
from policy_store.backends.redis_store import RedisStore
from tests.policy_store.foreign_hands import ForeignHands, MemoryHands, RedisHands
from tests.policy_store.store_samples import NOW, fresh_experiment
from tests.serving_agent.store_histories import StoreHistories

QUIET = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


class MemoryHistories(StoreHistories):
    """Over the store in memory; a rule advances its time."""

    def open(self) -> ForeignHands:
        self.now = NOW
        return MemoryHands(MemoryStore("homefeed", clock=lambda: self.now))

    @rule(passed_ms=st.integers(0, 3 * HOUR_MS))
    def time_passes(self, passed_ms: int) -> None:
        self.now += passed_ms


def test_every_history_in_memory() -> None:
    options = settings(max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=QUIET)
    run_state_machine_as_test(MemoryHistories, settings=options)


def test_every_history_in_redis(redis_url: str) -> None:
    opened: list[Any] = []

    class RedisHistories(StoreHistories):
        def open(self) -> ForeignHands:
            opened.append(RedisStore(redis_url, fresh_experiment()))
            return RedisHands(opened[-1], redis_url)

    options = settings(max_examples=8, stateful_step_count=30, deadline=None, suppress_health_check=QUIET)
    run_state_machine_as_test(RedisHistories, settings=options)
    for store in opened:
        store.close()


def test_a_record_of_another_kind_in_the_slot_keeps_nobody_from_deciding() -> None:
    history = MemoryHistories()
    history.clocks_are_set_right_and_everything_works()
    history.people_kill(offset=0)
    kill, *_ = history.control_in_store()
    history.hands.put("preference", kill)
    history.clocks_are_set_right_and_everything_works()
    assert len({node.refresher.holder.current.preference.revision for node in history.nodes}) == 1
    history.teardown()


def test_an_emptied_store_is_published_over_though_nodes_are_epochs_ahead() -> None:
    history = MemoryHistories()
    history.clocks_are_set_right_and_everything_works()
    history.a_stranger_reports(epoch=1000, name="evil", offset=315_360_000_000)
    history.clocks_are_set_right_and_everything_works()
    history.the_store_is_emptied()
    history.clocks_are_set_right_and_everything_works()
    assert len({node.refresher.holder.current.preference.revision for node in history.nodes}) == 1
    history.teardown()
