"""A node applies each re-base once, in the order of their epochs."""

from __future__ import annotations

import pytest

from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.verification import TrustRule
from policy_store.records.governed_record import SignedRecord
from policy_store.records.revision_rules import ReaderMemory
from policy_store.records.store_errors import StoreUnreachable
from serving_agent.pickup.rebase_watch import RebaseWatch
from tests.policy_store.control_samples import rebase_of
from tests.policy_store.foreign_hands import MemoryHands
from tests.serving_samples import GOVERNANCE_KEY, LEARNER_KEY, TRUSTED, serving_experiment

EXPERIMENT = serving_experiment()
RULE = TrustRule(TRUSTED, EXPERIMENT.name, EXPERIMENT.action_space.digest)


def signed_rebase(epoch: int, revision: int) -> SignedRecord:
    return rebase_of(epoch, revision).signed_by(GOVERNANCE_KEY)


class Bench:
    def __init__(self) -> None:
        self.store = MemoryStore(EXPERIMENT.name)
        self.hands = MemoryHands(self.store)
        self.memory = ReaderMemory({"preference": 100})
        self.watch = RebaseWatch(RULE, self.memory)

    def publish(self, epoch: int, revision: int) -> SignedRecord:
        signed = signed_rebase(epoch, revision)
        self.hands.publish_as_0_1_0("rebase", signed)
        return signed

    @property
    def state(self) -> tuple[int, int]:
        return self.memory.epoch, self.memory.highest["preference"]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_rebase_is_applied_once(bench: Bench) -> None:
    assert not bench.watch.poll(bench.store)
    bench.publish(1, 50)
    assert bench.watch.poll(bench.store)
    assert bench.state == (1, 50)
    bench.memory.highest["preference"] = 70
    assert not bench.watch.poll(bench.store)
    again = RebaseWatch(RULE, bench.memory)
    assert not again.poll(bench.store), "nor after a restart that remembers the epoch"
    assert bench.state == (1, 70)


def test_a_replayed_rebase_rolls_nothing_back(bench: Bench) -> None:
    first = bench.publish(1, 50)
    bench.publish(2, 80)
    bench.watch.poll(bench.store)
    bench.memory.highest["preference"] = 90
    bench.hands.put("rebase", first)
    assert not bench.watch.poll(bench.store)
    bench.hands.empty()
    bench.hands.put("rebase", first)
    assert not bench.watch.poll(bench.store)
    assert bench.state == (2, 90)
    assert bench.watch.fault is None


def test_a_node_that_missed_some_applies_all_in_order(bench: Bench) -> None:
    """A record published between two re-bases is above the first and below the second, and must be acceptable."""
    for epoch, revision in ((1, 50), (2, 80)):
        bench.publish(epoch, revision)
    assert bench.watch.poll(bench.store)
    assert bench.state == (2, 50)


def test_a_new_node_learns_from_the_history_what_the_slot_hides(bench: Bench) -> None:
    first = bench.publish(1, 50)
    bench.publish(2, 80)
    bench.hands.put("rebase", first)
    assert bench.watch.poll(bench.store)
    assert bench.memory.epoch == 2


def test_what_people_have_not_signed_changes_nothing_and_is_said(bench: Bench) -> None:
    forged = rebase_of(7, 1).signed_by(LEARNER_KEY)
    bench.hands.put("rebase", forged)
    assert not bench.watch.poll(bench.store)
    assert bench.state == (0, 100)
    assert "may not sign" in str(bench.watch.fault)
    bench.publish(1, 50)
    assert bench.watch.poll(bench.store)
    assert bench.watch.fault is None


def test_what_was_seen_before_hides_no_rebase(bench: Bench) -> None:
    """Somebody writes the old content back into the slot before this node has read it."""
    junk = SignedRecord(b"?", bytes(64), "governance/tests")
    bench.hands.put("rebase", junk)
    assert not bench.watch.poll(bench.store)
    assert "does not match" in str(bench.watch.fault)
    bench.publish(1, 50)
    bench.hands.put("rebase", junk)
    assert bench.watch.poll(bench.store)
    assert bench.state == (1, 50)


def test_a_store_that_goes_away_in_between_is_looked_at_again(bench: Bench) -> None:
    class Flaky(MemoryStore):
        away = True

        def known_records(self, slot: str) -> list[SignedRecord]:
            if self.away:
                raise StoreUnreachable("gone", fix="start it")
            return super().known_records(slot)

    flaky = Flaky(EXPERIMENT.name)
    MemoryHands(flaky).publish_as_0_1_0("rebase", signed_rebase(1, 50))
    with pytest.raises(StoreUnreachable):
        bench.watch.poll(flaky)
    assert bench.state == (0, 100)
    flaky.away = False
    assert bench.watch.poll(flaky)
    assert bench.state == (1, 50)
