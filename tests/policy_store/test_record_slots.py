"""Each slot takes its own kinds of record and no other, in every implementation."""

import pytest

from policy_store.governance import Decider, set_killed
from policy_store.record_slots import RecordSlots
from policy_store.signing import Role, SigningKey
from policy_store.store_errors import RecordMalformed
from tests.policy_store.store_samples import NOW, StoreBench


def test_every_store_has_the_same_slots(bench: StoreBench) -> None:
    store = bench.store
    assert isinstance(store, RecordSlots)
    empty = [store.preference(), store.control(), *(read("stable") for read in (store.channel, store.freshness))]
    assert empty == [None] * 4


def test_a_record_of_another_kind_is_refused_in_a_slot(bench: StoreBench) -> None:
    store, key = bench.store, SigningKey.generate(Role.GOVERNANCE, "ada")
    set_killed(store, True, Decider(by="ada", reason="a drill", now_ms=NOW, key=key))
    control = store.control()
    assert control is not None
    with pytest.raises(RecordMalformed):
        store.publish_preference(control, parent_revision=None)
    with pytest.raises(RecordMalformed):
        store.publish_channel(control, parent_revision=None)
    assert store.preference() is None
