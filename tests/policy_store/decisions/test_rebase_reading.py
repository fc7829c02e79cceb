"""Which re-bases of a store a reader accepts, and in which order it applies them."""

from __future__ import annotations

from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.rebase_reading import claimed_rebases, rebases_beyond, remembered_rebases, verified_rebases
from tests.policy_store.control_samples import rebase_of, stop
from tests.policy_store.foreign_hands import MemoryHands
from tests.policy_store.store_samples import LEARNER, PEOPLE, rule

X = "homefeed"


def test_rebases_come_from_slot_and_history_by_rising_epoch() -> None:
    hands = MemoryHands(MemoryStore(X))
    kill = stop(5).record
    for epoch, revision, voids in ((2, 20, []), (1, 10, [kill]), (3, 30, [])):
        hands.publish_as_0_1_0("rebase", rebase_of(epoch, revision, voids).signed_by(PEOPLE))
    hands.put("rebase", rebase_of(1, 10, [kill]).signed_by(PEOPLE))
    assert [each.epoch for each in verified_rebases(hands.store.known_records("rebase"), rule(X))] == [1, 1, 2, 3]
    memory = remembered_rebases(hands.store, rule(X))
    assert (memory.epoch, memory.voided) == (3, {stop(5).hash})


def test_what_people_have_not_signed_is_left_out() -> None:
    hands = MemoryHands(MemoryStore(X))
    forged = rebase_of(9, 10)
    for signed in (forged.signed_by(LEARNER), rebase_of(8, 10, experiment="other").signed_by(PEOPLE), stop(5).signed):
        hands.publish_as_0_1_0("rebase", signed)
    assert verified_rebases(hands.store.known_records("rebase"), rule(X)) == []
    found = hands.store.known_records("rebase")
    assert [each.epoch for each in claimed_rebases(found)] == [8, 9], "they bound what nodes claim, no more"
    assert rebases_beyond(found, 8) == (forged.signed_by(LEARNER),)
    assert rebases_beyond(found, 9) == ()
    assert remembered_rebases(MemoryStore(X), rule(X)).epoch == 0
