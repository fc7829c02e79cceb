"""The lease for the life of a process: acquired, renewed, lost, got back, and said once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from event_schemas.errors import TrimtabError
from learner.checkpoints.learner_lease import LearnerLease, LeaseHolder
from policy_store.backends.memory_store import MemoryStore
from policy_store.backends.store import Lease
from policy_store.records.store_errors import LeaseHeld, LeaseLost, StoreUnreachable

TTL_S = 60.0


class Dying(MemoryStore):
    """A store that does not answer while `down`."""

    down = False

    def acquire_lease(self, owner: str, ttl_s: float) -> Lease:
        self._answer()
        return super().acquire_lease(owner, ttl_s)

    def renew_lease(self, lease: Lease) -> None:
        self._answer()
        super().renew_lease(lease)

    def release_lease(self, lease: Lease) -> None:
        self._answer()
        super().release_lease(lease)

    def _answer(self) -> None:
        if self.down:
            raise StoreUnreachable("Redis does not answer", fix="start it")


@dataclass
class Hour:
    """One store and two learners in one time, in seconds."""

    now: float = 0.0
    told: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = Dying("small", clock=lambda: 10**12 + round(self.now * 1000))
        self.first = self.learner("first, process 1", self.told.append)
        self.second = self.learner("second, process 2", lambda _: None)

    def learner(self, owner: str, told: Callable[[bool], None]) -> LearnerLease:
        return LearnerLease(self.store, LeaseHolder(owner, TTL_S, told, lambda: self.now))


@pytest.fixture
def hour() -> Hour:
    return Hour()


def test_the_second_learner_waits_and_says_once_who_has_the_lease(hour: Hour) -> None:
    with hour.first.kept(), capture_logs() as said:
        with hour.second.kept():
            for hour.now in (20.0, 40.0, 59.0):
                hour.first.ask()
                hour.second.ask()
            assert hour.first.is_held and not hour.second.is_held
            with pytest.raises(LeaseHeld, match="held by 'first, process 1'"), hour.second.granted():
                pass
        [line] = [line for line in said if line["log_level"] == "warning"]
        assert "without the lease" in line["event"] and "'first, process 1'" in line["what"]
    assert hour.told == [True, False]
    with hour.second.granted() as token:
        assert token == hour.store._contents.fence, "it was released, so nobody need wait for its end"


def test_a_learner_that_ended_without_a_word_is_followed_after_the_life_of_its_lease(hour: Hour) -> None:
    hour.first.ask()
    hour.second.ask()
    hour.now = TTL_S - 1
    hour.second.ask()
    assert not hour.second.is_held
    hour.now = TTL_S
    hour.second.ask()
    assert hour.second.is_held and not hour.first.is_held
    hour.first.ask()
    assert not hour.first.is_held, "it was only stalled, and comes back too late"


def test_a_store_that_is_down_ends_the_right_with_the_lease_and_gives_it_back(hour: Hour) -> None:
    with capture_logs() as said:
        hour.first.ask()
        hour.store.down = True
        for hour.now in (15.0, 30.0, 59.0):
            hour.first.ask()
            assert hour.first.is_held, "nobody else can have it yet"
        for hour.now in (60.0, 75.0, 90.0):
            assert not hour.first.is_held
            hour.first.ask()
        with pytest.raises(StoreUnreachable), hour.first.granted():
            pass
        hour.store.down = False
        hour.first.ask()
    assert hour.first.is_held
    assert hour.told == [True, False, True]
    assert [line["log_level"] for line in said] == ["info", "warning", "info"], "each is said once"
    assert said[1]["what"] == "Redis does not answer"


def test_an_emptied_store_is_no_reason_to_stop(hour: Hour) -> None:
    hour.first.ask()
    hour.store._contents.lease = None
    hour.first.ask()
    assert hour.first.is_held


def test_blocks_in_each_other_have_one_lease_which_the_outermost_releases(hour: Hour) -> None:
    with hour.first.granted() as outer:
        with hour.first.granted() as inner, hour.first.kept():
            assert inner == outer
        assert hour.first.is_held
    assert not hour.first.is_held
    assert hour.store._contents.lease is None
    with hour.first.granted() as again:
        assert again > outer


def test_a_run_that_was_stalled_writes_nothing_under_a_later_lease(hour: Hour) -> None:
    with hour.first.granted():
        hour.now = TTL_S + 1
        with hour.second.granted():
            pass
        with pytest.raises(LeaseLost, match="began under has ended"), hour.first.granted():
            pass
    with hour.first.granted() as token:
        assert token > 0, "the next run is whole"


def test_a_lease_that_cannot_be_released_ends_by_itself(hour: Hour) -> None:
    with hour.first.kept():
        hour.store.down = True
    hour.store.down = False
    assert not hour.first.is_held
    with pytest.raises(TrimtabError), hour.second.granted():
        pass
    hour.now = TTL_S
    with hour.second.granted() as token:
        assert token > 0


def test_a_thread_renews_it_while_its_holder_is_busy() -> None:
    """In real time: the store's lease lives for a tenth of a second, and the block lasts for three."""
    renewed, waited = [0], threading.Event()

    class Counting(MemoryStore):
        def renew_lease(self, lease: Lease) -> None:
            super().renew_lease(lease)
            renewed[0] += 1
            if renewed[0] == 12:
                waited.set()

    store = Counting("small")
    with LearnerLease(store, LeaseHolder("busy", 2.0)).granted():
        pass
    lease = LearnerLease(store, LeaseHolder("busy", 0.2))
    with lease.kept():
        assert waited.wait(30.0), "renewed for three lives of the lease"
        assert lease.is_held
