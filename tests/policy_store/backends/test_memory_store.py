"""What is specific to the store in memory; its contract is tested in test_store.py."""

from __future__ import annotations

import pytest

from policy_store.backends.memory_store import MemoryStore
from policy_store.backends.store import HISTORY_LIMIT, UPDATES_LIMIT, PolicyStore
from policy_store.decisions.kill_decisions import kill
from policy_store.records.store_errors import LeaseLost, RecordMalformed
from tests.policy_store.store_samples import NOW, PEOPLE, people

YEAR_MS = 365 * 86_400_000


def test_it_is_a_policy_store() -> None:
    store: PolicyStore = MemoryStore("homefeed")
    assert store.experiment == "homefeed"


def test_two_stores_share_nothing() -> None:
    first, second = MemoryStore("homefeed"), MemoryStore("homefeed")
    kill(first, people())
    assert second.control_records().slot is None


def test_history_and_updates_are_bounded_and_the_audit_is_not() -> None:
    store = MemoryStore("homefeed", clock=lambda: NOW)
    changes = max(HISTORY_LIMIT, UPDATES_LIMIT) + 5
    record = kill(store, people(NOW))
    for number in range(1, changes):
        store.publish_control(record.model_copy(update={"revision": NOW + number}).signed_by(PEOPLE))
    assert len(store.history("control")) == HISTORY_LIMIT
    assert len(store.updates_since("0")) == UPDATES_LIMIT
    assert len(store.audit_entries()) == changes


def test_a_name_unfit_for_redis_is_unfit_here() -> None:
    try:
        MemoryStore("a}b")
    except RecordMalformed as error:
        assert "a}b" in error.what
    else:
        raise AssertionError("accepted")


def test_a_lease_and_a_heartbeat_end_when_the_clock_is_set_back_by_years() -> None:
    now = [NOW + 10 * YEAR_MS]
    store = MemoryStore("homefeed", clock=lambda: now[0])
    ahead = store.acquire_lease("a", ttl_s=60)
    store.heartbeat("n1", {}, ttl_s=60)
    now[0] = NOW
    assert store.nodes() == []
    lease = store.acquire_lease("b", ttl_s=60)
    assert lease.token == NOW
    with pytest.raises(LeaseLost):
        store.renew_lease(ahead)
