"""Preference and kill switch: what a node accepts, and what it keeps when the store says something wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policy_store.governance import set_preference
from policy_store.governed_record import SignedRecord
from policy_store.memory_store import MemoryStore
from policy_store.preference_record import PreferenceTarget
from policy_store.signing import TrustedKeys
from policy_store.store_errors import RecordMalformed, SignatureInvalid
from policy_store.verification import TrustRule
from serving_agent.preference_watch import PreferenceWatch
from serving_agent.snapshot_disk import SavedSnapshot
from tests.serving_samples import LEARNER_KEY, NOW, TRUSTED, StoreDesk, serving_experiment

EXPERIMENT = serving_experiment()
RULE = TrustRule(TRUSTED, EXPERIMENT.name, EXPERIMENT.action_space.digest)


def alpha_of(watch: PreferenceWatch, cohort: str | None = None) -> float:
    weights = watch.preference.weights_for(cohort)
    assert weights is not None
    return float(weights[1])


def test_follows_the_preference() -> None:
    desk, watch = StoreDesk(EXPERIMENT), PreferenceWatch(EXPERIMENT, RULE)
    assert not watch.poll(desk.store)
    assert alpha_of(watch) == pytest.approx(0.1)
    desk.alpha(0.3, CORE=0.5)
    assert watch.poll(desk.store)
    assert [alpha_of(watch), alpha_of(watch, "CORE")] == pytest.approx([0.3, 0.5])
    assert watch.preference.revision == NOW
    assert not watch.poll(desk.store)


def test_follows_the_kill_switch() -> None:
    desk, watch = StoreDesk(EXPERIMENT), PreferenceWatch(EXPERIMENT, RULE)
    for killed in (True, False):
        desk.kill(killed)
        assert watch.poll(desk.store)
        assert watch.killed is killed


def test_a_record_signed_by_the_wrong_role_is_not_accepted() -> None:
    desk, watch = StoreDesk(EXPERIMENT), PreferenceWatch(EXPERIMENT, RULE)
    desk.alpha(0.3)
    watch.poll(desk.store)
    decider = desk.decider()
    forged = type(decider)(by="learner", reason="", now_ms=NOW + 5, key=LEARNER_KEY)
    set_preference(desk.store, PreferenceTarget(alpha=0.9), {}, forged)
    desk.kill()
    assert watch.poll(desk.store)
    assert watch.fault is not None
    assert "may not sign" in watch.fault
    assert alpha_of(watch) == pytest.approx(0.3)
    assert watch.killed, "a bad preference must not keep the kill switch from working"


def test_an_emptied_store_is_not_news() -> None:
    desk, watch = StoreDesk(EXPERIMENT), PreferenceWatch(EXPERIMENT, RULE)
    desk.alpha(0.3)
    desk.kill()
    watch.poll(desk.store)
    watch.poll(MemoryStore(EXPERIMENT.name))
    assert watch.fault is not None
    assert "was seen before" in watch.fault
    assert alpha_of(watch) == pytest.approx(0.3)
    assert watch.killed


def test_starts_from_disk_and_verifies_again() -> None:
    desk, watch = StoreDesk(EXPERIMENT), PreferenceWatch(EXPERIMENT, RULE)
    desk.alpha(0.3)
    desk.kill()
    watch.poll(desk.store)
    saved = SavedSnapshot(preference=watch.saved_preference, control=watch.saved_control)
    again = PreferenceWatch(EXPERIMENT, RULE)
    again.restore(saved)
    assert alpha_of(again) == pytest.approx(0.3)
    assert (again.killed, again.revisions) == (True, watch.revisions)
    strict = TrustRule(TrustedKeys.of(LEARNER_KEY), EXPERIMENT.name, EXPERIMENT.action_space.digest)
    with pytest.raises(SignatureInvalid):
        PreferenceWatch(EXPERIMENT, strict).restore(saved)


def test_a_preference_that_cannot_be_read_does_not_stop_a_kill() -> None:
    class Torn(MemoryStore):
        def preference(self) -> SignedRecord | None:
            raise RecordMalformed("preference lacks its signature", mend="publish a new record")

    desk, watch = StoreDesk(EXPERIMENT, Torn(EXPERIMENT.name)), PreferenceWatch(EXPERIMENT, RULE)
    desk.kill()
    assert watch.poll(desk.store)
    assert watch.killed
    assert watch.fault is not None
    assert "lacks its signature" in watch.fault


def test_each_record_on_disk_stands_for_itself_and_revisions_are_kept() -> None:
    desk, watch = StoreDesk(EXPERIMENT), PreferenceWatch(EXPERIMENT, RULE)
    desk.alpha(0.3)
    desk.kill()
    watch.poll(desk.store)
    assert watch.saved_control is not None
    torn = replace(watch.saved_control, signature=bytes(64))
    saved = SavedSnapshot(preference=watch.saved_preference, control=torn, revisions=watch.revisions)
    again = PreferenceWatch(EXPERIMENT, RULE)
    with pytest.raises(SignatureInvalid):
        again.restore(saved)
    assert alpha_of(again) == pytest.approx(0.3)
    assert again.revisions == watch.revisions, "an older kill record must not pass for news"
