"""The preference: what a node accepts, and what it keeps when the store's record is wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from event_schemas.units import HOUR_MS
from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.verification import TrustRule
from policy_store.records.governed_record import SignedRecord
from policy_store.records.preference_record import PreferenceRecord, PreferenceTarget
from policy_store.records.revision_rules import ReaderMemory
from policy_store.records.signing import TrustedKeys
from policy_store.records.store_errors import RecordMalformed, SignatureInvalid, StoreRefused
from serving_agent.pickup.preference_watch import PreferenceWatch
from serving_agent.pickup.snapshot_disk import SavedSnapshot
from tests.policy_store.control_samples import YEAR_MS
from tests.policy_store.foreign_hands import MemoryHands
from tests.policy_store.store_samples import set_preference
from tests.serving_samples import GOVERNANCE_KEY, LEARNER_KEY, NOW, TRUSTED, StoreDesk, serving_experiment

EXPERIMENT = serving_experiment()
RULE = TrustRule(TRUSTED, EXPERIMENT.name, EXPERIMENT.action_space.digest)


def alpha_of(watch: PreferenceWatch, cohort: str | None = None) -> float:
    weights = watch.preference.of_cohort(cohort)
    assert weights is not None
    return weights[1]


def far_preference(desk: StoreDesk, alpha: float) -> SignedRecord:
    target = PreferenceTarget(alpha=alpha)
    record = PreferenceRecord(experiment=EXPERIMENT.name, revision=NOW + 10 * YEAR_MS, by="ada", default=target)
    signed = record.signed_by(GOVERNANCE_KEY)
    assert isinstance(desk.store, MemoryStore)
    MemoryHands(desk.store).publish_as_0_1_0("preference", signed)
    return signed


def test_follows_the_preference() -> None:
    desk, watch = StoreDesk(EXPERIMENT), PreferenceWatch(EXPERIMENT, RULE)
    assert not watch.poll(desk.store, NOW)
    assert alpha_of(watch) == pytest.approx(0.1)
    desk.alpha(0.3, CORE=0.5)
    assert watch.poll(desk.store, NOW)
    assert [alpha_of(watch), alpha_of(watch, "CORE")] == pytest.approx([0.3, 0.5])
    assert watch.preference.revision == watch.memory.highest["preference"] == NOW + 2
    assert not watch.poll(desk.store, NOW)


def test_a_record_signed_by_the_wrong_role_is_not_accepted() -> None:
    desk, watch = StoreDesk(EXPERIMENT), PreferenceWatch(EXPERIMENT, RULE)
    desk.alpha(0.3)
    watch.poll(desk.store, NOW)
    forged = replace(desk.decider(), key=LEARNER_KEY)
    set_preference(desk.store, PreferenceTarget(alpha=0.9), forged, trust=desk.rule)
    assert watch.poll(desk.store, NOW)
    assert watch.fault is not None
    assert "may not sign" in watch.fault
    assert alpha_of(watch) == pytest.approx(0.3)
    assert not watch.poll(desk.store, NOW), "a fault is told once"


def test_an_emptied_store_is_not_news() -> None:
    desk, watch = StoreDesk(EXPERIMENT), PreferenceWatch(EXPERIMENT, RULE)
    desk.alpha(0.3)
    watch.poll(desk.store, NOW)
    watch.poll(MemoryStore(EXPERIMENT.name), NOW)
    assert watch.fault is not None
    assert "was seen before" in watch.fault
    assert alpha_of(watch) == pytest.approx(0.3)


def test_the_far_future_waits_until_the_clocks_agree() -> None:
    """The writer's clock ran ahead, or this node's lags: the node keeps what it has, reports it, and reads again."""
    desk, watch = StoreDesk(EXPERIMENT), PreferenceWatch(EXPERIMENT, RULE)
    desk.alpha(0.3)
    watch.poll(desk.store, NOW)
    far_preference(desk, 0.9)
    for now in (NOW, NOW + HOUR_MS):
        watch.poll(desk.store, now)
        assert watch.fault is not None
        assert "ahead of this machine's clock" in watch.fault
        assert alpha_of(watch) == pytest.approx(0.3)
        assert watch.memory.highest == {"preference": NOW + 1}
    assert watch.poll(desk.store, NOW + 10 * YEAR_MS)
    assert watch.fault is None
    assert alpha_of(watch) == pytest.approx(0.9)
    assert watch.memory.highest == {"preference": NOW + 10 * YEAR_MS}


def test_what_a_rebase_voided_is_not_taken_up() -> None:
    desk = StoreDesk(EXPERIMENT)
    signed = far_preference(desk, 0.9)
    watch = PreferenceWatch(EXPERIMENT, RULE, ReaderMemory(voided={signed.hash}))
    watch.poll(desk.store, NOW + 10 * YEAR_MS)
    assert watch.fault is not None
    assert "voided" in watch.fault
    assert alpha_of(watch) == pytest.approx(0.1)


def test_starts_from_disk_and_verifies_again() -> None:
    desk, watch = StoreDesk(EXPERIMENT), PreferenceWatch(EXPERIMENT, RULE)
    desk.alpha(0.3)
    watch.poll(desk.store, NOW)
    saved = SavedSnapshot(preference=watch.saved)
    again = PreferenceWatch(EXPERIMENT, RULE)
    again.restore(saved)
    assert again.memory == watch.memory
    assert alpha_of(again) == pytest.approx(0.3)
    strict = TrustRule(TrustedKeys.of(LEARNER_KEY), EXPERIMENT.name, EXPERIMENT.action_space.digest)
    with pytest.raises(SignatureInvalid):
        PreferenceWatch(EXPERIMENT, strict).restore(saved)


def test_what_served_before_a_restart_serves_after_it_and_raises_nothing_once_voided() -> None:
    desk = StoreDesk(EXPERIMENT)
    signed = far_preference(desk, 0.9)
    memory = ReaderMemory({"preference": NOW}, epoch=1, voided={signed.hash})
    watch = PreferenceWatch(EXPERIMENT, RULE, memory)
    watch.restore(SavedSnapshot(preference=signed))
    assert alpha_of(watch) == pytest.approx(0.9)
    assert memory.highest == {"preference": NOW}


@pytest.mark.parametrize("fault", [RecordMalformed, StoreRefused])
def test_a_preference_that_cannot_be_read_changes_nothing(fault: type[RecordMalformed | StoreRefused]) -> None:
    class Torn(MemoryStore):
        def preference(self) -> SignedRecord | None:
            raise fault("preference lacks its signature", fix="publish a new record")

    watch = PreferenceWatch(EXPERIMENT, RULE)
    if fault is StoreRefused:
        with pytest.raises(StoreRefused):
            watch.poll(Torn(EXPERIMENT.name), NOW)
    else:
        assert watch.poll(Torn(EXPERIMENT.name), NOW)
        assert watch.fault is not None
        assert "lacks its signature" in watch.fault
    assert alpha_of(watch) == pytest.approx(0.1)
