"""What is particular to the store in memory; its contract is tested in test_store.py."""

from __future__ import annotations

from policy_store.governance import set_killed
from policy_store.memory_store import MemoryStore
from policy_store.store import HISTORY_LIMIT, UPDATES_LIMIT, PolicyStore
from policy_store.store_errors import RecordMalformed
from tests.policy_store.store_samples import NOW, people


def test_it_is_a_policy_store() -> None:
    store: PolicyStore = MemoryStore("homefeed")
    assert store.experiment == "homefeed"


def test_two_stores_share_nothing() -> None:
    first, second = MemoryStore("homefeed"), MemoryStore("homefeed")
    set_killed(first, True, people())
    assert second.control() is None


def test_history_and_updates_are_bounded_and_the_audit_is_not() -> None:
    store = MemoryStore("homefeed", clock=lambda: NOW)
    changes = max(HISTORY_LIMIT, UPDATES_LIMIT) + 5
    for _ in range(changes):
        set_killed(store, True, people())
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
