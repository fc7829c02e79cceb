"""Re-bases: what one removes, what it leaves, and that everything works afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.units import HOUR_MS
from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.governance import (
    approve_proposal,
    keep_fresh,
    point_channel,
    propose_preference,
    publish_checkpoint,
    rollback_version,
)
from policy_store.decisions.inspection import inspect_store
from policy_store.decisions.kill_decisions import kill, kill_state, resume
from policy_store.decisions.rebase_reading import remembered_rebases
from policy_store.decisions.rebasing import plan_rebase, rebase
from policy_store.decisions.verified_reading import read_channel_verified
from policy_store.records.channel_record import Channel, ChannelRecord, FreshnessRecord
from policy_store.records.governed_record import SignedRecord
from policy_store.records.preference_record import PreferenceRecord, PreferenceTarget
from policy_store.records.rebase_record import ORDERED_SLOTS
from policy_store.records.revision_rules import EPOCHS_BEYOND, MAX_REVISION
from policy_store.records.signing import SigningKey
from policy_store.records.store_errors import (
    ClocksDisagree,
    NothingToRebase,
    RecordVoided,
    RevisionAhead,
    RevisionConflict,
)
from tests.policy_store.control_samples import YEAR_MS, rebase_of, stop
from tests.policy_store.foreign_hands import MemoryHands
from tests.policy_store.store_samples import (
    BLOBS,
    LEARNER,
    NOW,
    PEOPLE,
    STRANGER,
    TTL_MS,
    StoreBench,
    learner,
    manifest,
    people,
    rule,
    set_preference,
)

ALPHA = {number: PreferenceTarget.of(alpha=number / 10) for number in range(11)}


def fill(bench: StoreBench) -> None:
    """Two checkpoints, decisions about them, and a preference, all with the current time."""
    for version in ("v1", "v2"):
        publish_checkpoint(bench.store, manifest(bench.experiment, version), BLOBS, LEARNER)
        point_channel(bench.store, Channel.STABLE, version, people(), ttl_ms=TTL_MS)
    keep_fresh(bench.store, Channel.STABLE, learner(), ttl_ms=TTL_MS)
    set_preference(bench.store, ALPHA[2], people())


def far_channel(bench: StoreBench, version: str = "v1", ahead_ms: int = 10 * YEAR_MS) -> SignedRecord:
    """A channel record signed with a clock that is ten years ahead."""
    content = {"experiment": bench.experiment, "channel": "stable", "version": version, "by": "ada"}
    revision = bench.store.time_ms() + ahead_ms
    return ChannelRecord.from_content(content | {"revision": revision, "expires_at": revision + TTL_MS}).signed_by(
        PEOPLE
    )


def lead_into_the_future(bench: StoreBench) -> list[SignedRecord]:
    """One record of the far future in each kind of slot, and two in a channel."""
    channel, newer = far_channel(bench), far_channel(bench, "v2", 10 * YEAR_MS + 5)
    record = ChannelRecord.parse(channel.record)
    content: dict[str, Any] = {"experiment": bench.experiment, "by": "learner", "channel": "stable", "version": "v1"}
    content |= {"revision": record.revision, "expires_at": record.expires_at, "channel_revision": record.revision}
    fresh = FreshnessRecord.from_content(content).signed_by(LEARNER)
    preference = PreferenceRecord(
        experiment=bench.experiment, revision=record.revision, by="ada", default=ALPHA[9]
    ).signed_by(PEOPLE)
    for slot, signed in (("channel:stable", channel), ("channel:stable", newer)):
        bench.hands.publish_as_0_1_0(slot, signed)
    bench.hands.publish_as_0_1_0("freshness:stable", fresh)
    bench.hands.publish_as_0_1_0("preference", preference)
    return [channel, newer, fresh, preference]


def problems(bench: StoreBench) -> dict[str, str]:
    findings = inspect_store(bench.store, rule(bench.experiment))
    return {each.subject: each.problem for each in findings if each.problem is not None}


def test_everything_works_again_after_a_rebase(bench: StoreBench) -> None:
    fill(bench)
    before = {slot: bench.store.history(slot) for slot in ("channel:stable", "freshness:stable", "preference")}
    far = lead_into_the_future(bench)
    for publish in (
        lambda: point_channel(bench.store, Channel.STABLE, "v2", people(), ttl_ms=TTL_MS),
        lambda: keep_fresh(bench.store, Channel.STABLE, learner(), ttl_ms=TTL_MS),
        lambda: set_preference(bench.store, ALPHA[1], people()),
    ):
        with pytest.raises(RevisionAhead, match="hour ahead"):
            publish()
    assert set(problems(bench)) == set(before)

    plan = rebase(bench.store, rule(bench.experiment), people())
    assert plan.epoch == 1
    assert {each.signed.hash for each in plan.voided} == {each.hash for each in far}
    assert plan.decide_again == ("channel:stable", "preference")
    assert {slot: bench.store.history(slot) for slot in before} == before
    assert [bench.second.channel("stable"), bench.second.preference()] == [
        before["channel:stable"][0],
        before["preference"][0],
    ]
    assert problems(bench) == {}

    time_ms = bench.store.time_ms()
    record = point_channel(bench.store, Channel.STABLE, "v2", people(), ttl_ms=TTL_MS)
    assert abs(record.revision - time_ms) < 60_000
    assert rollback_version(bench.store, Channel.STABLE) == "v1"
    point_channel(bench.store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)
    keep_fresh(bench.store, Channel.STABLE, learner(), ttl_ms=TTL_MS)
    propose_preference(bench.store, "p-1", None, ALPHA[5], people())
    assert approve_proposal(bench.store, "p-1", None, people(), rule(bench.experiment)).default == ALPHA[5]
    assert problems(bench) == {}
    with pytest.raises(NothingToRebase):
        rebase(bench.store, rule(bench.experiment), people())


def test_a_slot_with_nothing_left_is_emptied(bench: StoreBench) -> None:
    publish_checkpoint(bench.store, manifest(bench.experiment), BLOBS, LEARNER)
    bench.hands.publish_as_0_1_0("channel:stable", far_channel(bench))
    rebase(bench.store, rule(bench.experiment), people())
    assert bench.store.channel("stable") is None
    assert bench.store.history("channel:stable") == []
    assert point_channel(bench.store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS).parent_revision is None


def test_what_other_hands_wrote_past_the_history_is_voided_too(bench: StoreBench) -> None:
    """Records written only to the slot, records of another slot's kind, and unsigned ones."""
    fill(bench)
    kept = bench.store.history("channel:stable")[0]
    kill_of_2036 = stop(bench.store.time_ms() + 10 * YEAR_MS, experiment=bench.experiment)
    for signed in (far_channel(bench), kill_of_2036.signed, replace(far_channel(bench), signature=bytes(64))):
        bench.hands.put("channel:stable", signed)
        [voided] = rebase(bench.store, rule(bench.experiment), people()).voided
        assert (voided.slot, voided.in_force, voided.signed.hash) == ("channel:stable", True, signed.hash)
        assert bench.store.channel("stable") == kept
    bench.hands.put("control", kill_of_2036.signed)
    assert kill_state(bench.store, rule(bench.experiment)).killed, "a hash voided elsewhere voids no kill"


def test_a_history_of_the_future_below_a_slot_of_now_is_cleared(bench: StoreBench) -> None:
    fill(bench)
    now = bench.store.channel("stable")
    assert now is not None
    bench.hands.publish_as_0_1_0("channel:stable", far_channel(bench))
    bench.hands.put("channel:stable", now)
    with pytest.raises(RevisionAhead):
        point_channel(bench.store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)
    plan = rebase(bench.store, rule(bench.experiment), people())
    assert [each.in_force for each in plan.voided] == [False]
    assert plan.decide_again == ()
    assert bench.store.channel("stable") == now
    point_channel(bench.store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)


def test_a_dry_run_changes_nothing(bench: StoreBench) -> None:
    fill(bench)
    lead_into_the_future(bench)
    before = bench.hands.backup()
    plan = plan_rebase(bench.store, rule(bench.experiment))
    assert len(plan.voided) == 4
    shown = plan.as_dict()
    assert shown["epoch"] == 1
    assert {each["slot"] for each in shown["voids"]} == {"channel:stable", "freshness:stable", "preference"}
    assert {"hash", "in_force", "revision", "time", "by", "reason"} <= set(shown["voids"][0])
    assert bench.hands.backup() == before


def test_nothing_to_rebase_is_said_clearly(bench: StoreBench) -> None:
    fill(bench)
    for act in (plan_rebase, lambda store, trust: rebase(store, trust, people())):
        with pytest.raises(NothingToRebase, match="more than an hour ahead"):
            act(bench.store, rule(bench.experiment))


def test_what_only_a_node_remembers_is_reason_enough(bench: StoreBench) -> None:
    far = bench.store.time_ms() + 10 * YEAR_MS
    bench.store.heartbeat("n1", {"epoch": 4, "revisions": {"preference": far}}, 60)
    with pytest.raises(RevisionAhead, match="node n1"):
        set_preference(bench.store, ALPHA[1], people())
    plan = rebase(bench.store, rule(bench.experiment), people())
    assert (plan.epoch, plan.voided, plan.decide_again) == (5, (), ("preference",))
    assert plan.as_dict()["nodes"] == [{"slot": "preference", "revision": far, "known_to": "node n1"}]
    # The node will lower what it remembers to the re-base's revision.
    assert set_preference(bench.store, ALPHA[1], people()).revision > plan.time_ms
    with pytest.raises(NothingToRebase):
        rebase(bench.store, rule(bench.experiment), people())


def test_neither_forged_rebases_nor_absurd_claims_use_epochs_up(bench: StoreBench) -> None:
    fill(bench)
    bench.hands.publish_as_0_1_0("rebase", rebase_of(2**53 - 1, 5, experiment=bench.experiment).signed_by(LEARNER))
    bench.store.heartbeat("n1", {"epoch": 2**53 - 1}, 60)
    for at in range(1, 4):
        bench.hands.publish_as_0_1_0("channel:stable", far_channel(bench, ahead_ms=10 * YEAR_MS + at))
        assert rebase(bench.store, rule(bench.experiment), people()).epoch == at
    assert remembered_rebases(bench.store, rule(bench.experiment)).epoch == 3


def test_a_voided_record_is_refused_when_its_time_has_come(bench: StoreBench) -> None:
    fill(bench)
    far = far_channel(bench)
    bench.hands.publish_as_0_1_0("channel:stable", far)
    rebase(bench.store, rule(bench.experiment), people())
    bench.hands.put("channel:stable", far)
    memory = remembered_rebases(bench.store, rule(bench.experiment))
    with pytest.raises(RecordVoided):
        read_channel_verified(
            bench.store,
            Channel.STABLE,
            rule(bench.experiment),
            now_ms=bench.store.time_ms() + 10 * YEAR_MS,
            memory=memory,
        )
    assert "channel:stable" in problems(bench)


def test_kills_stay_as_they_are(bench: StoreBench) -> None:
    fill(bench)
    first = kill(bench.store, people(reason="one")).signed_by(PEOPLE)
    foreign = stop(bench.store.time_ms() + 10 * YEAR_MS, experiment=bench.experiment)
    bench.hands.put("control", foreign.signed)
    bench.hands.publish_as_0_1_0("channel:stable", far_channel(bench))
    rebase(bench.store, rule(bench.experiment), people())
    found = kill_state(bench.store, rule(bench.experiment))
    assert {each.hash for each in found.open_kills} == {first.hash, foreign.hash}
    resume(bench.store, [first.hash, foreign.hash], people())
    assert kill_state(bench.store, rule(bench.experiment)).killed is False


@pytest.mark.parametrize("off_ms", [2 * HOUR_MS, -10 * YEAR_MS])
def test_a_writer_whose_clock_is_wrong_voids_nothing(bench: StoreBench, off_ms: int) -> None:
    """If Redis's clock lagged, every record would seem to be from the far future."""
    fill(bench)
    bench.hands.publish_as_0_1_0("channel:stable", far_channel(bench))
    with pytest.raises(ClocksDisagree):
        rebase(bench.store, rule(bench.experiment), people(bench.store.time_ms() + off_ms))
    assert bench.store.rebase() is None


def test_a_slot_that_moved_in_between_is_looked_at_again(bench: StoreBench) -> None:
    fill(bench)
    bench.hands.publish_as_0_1_0("channel:stable", far_channel(bench))
    plan = plan_rebase(bench.store, rule(bench.experiment))
    newer = far_channel(bench, "v2", 10 * YEAR_MS + 7)
    bench.hands.publish_as_0_1_0("channel:stable", newer)
    signed = rebase_of(1, plan.time_ms, experiment=bench.experiment).signed_by(PEOPLE)
    with pytest.raises(RevisionConflict, match="channel:stable has changed"):
        bench.store.publish_rebase(signed, plan.own, plan.removals)
    assert bench.store.channel("stable") == newer
    assert len(rebase(bench.store, rule(bench.experiment), people()).voided) == 2
    with pytest.raises(RevisionConflict, match="rebase has changed"):
        bench.store.publish_rebase(signed, plan.own, ())


def test_the_audit_keeps_what_was_voided(bench: StoreBench) -> None:
    fill(bench)
    bench.hands.publish_as_0_1_0("channel:stable", far_channel(bench))
    plan = rebase(bench.store, rule(bench.experiment), people(reason="a clock in 2036"))
    last = bench.store.audit_entries()[-1].content
    assert (last["action"], last["actor"], last["detail"]["reason"]) == ("publish rebase", "ada", "a clock in 2036")
    assert last["detail"]["voids"] == [each.signed.hash for each in plan.voided]
    assert [update.slot for update in bench.store.updates_since("0")][-1] == "rebase"


EPOCHS = st.integers(0, 5) | st.integers(0, 3 * EPOCHS_BEYOND) | st.sampled_from([2**52, MAX_REVISION])
FAR = st.sampled_from([2 * HOUR_MS, 10 * YEAR_MS, 10**15])
CLAIMS = st.lists(st.tuples(EPOCHS, FAR, st.sampled_from(ORDERED_SLOTS)), max_size=8)
REBASES = st.lists(st.tuples(EPOCHS.map(lambda epoch: max(epoch, 1)), st.sampled_from([PEOPLE, LEARNER])), max_size=4)


@given(CLAIMS, REBASES)
def test_one_rebase_leads_out_whatever_nodes_report_and_others_have_forged(
    claims: list[tuple[int, int, str]], made: list[tuple[int, SigningKey]]
) -> None:
    """Also after earlier re-bases, by people or by anybody who can write to the store."""
    store = MemoryStore("homefeed", clock=lambda: NOW)
    hands = MemoryHands(store)
    publish_checkpoint(store, manifest("homefeed", "v1"), BLOBS, LEARNER)
    for epoch, key in made:
        if key is LEARNER or epoch < 10 * EPOCHS_BEYOND:
            hands.publish_as_0_1_0("rebase", rebase_of(epoch, NOW).signed_by(key))
    believed = remembered_rebases(store, rule("homefeed"))
    for number, (epoch, ahead_ms, slot) in enumerate(claims):
        store.heartbeat(f"n{number}", {"epoch": epoch, "revisions": {slot: NOW + ahead_ms}}, 60)

    def publish_all() -> None:
        for channel in Channel:
            point_channel(store, channel, "v1", people(NOW), ttl_ms=TTL_MS)
            keep_fresh(store, channel, learner(NOW), ttl_ms=TTL_MS)
        set_preference(store, ALPHA[1], people(NOW))

    try:
        publish_all()
    except RevisionAhead:
        plan = rebase(store, rule("homefeed"), people(NOW))
        publish_all()
        after = remembered_rebases(store, rule("homefeed"))
        assert after.epoch == plan.epoch > believed.epoch
        assert plan.epoch <= believed.epoch + 1 + (len(claims) + len(made)) * (EPOCHS_BEYOND + 1)
        assert after.voided >= believed.voided


def test_a_rebase_that_this_process_does_not_trust_stays(bench: StoreBench) -> None:
    """Nodes may trust its key. Only one with a later epoch is removed, because it would cancel the new re-base."""
    fill(bench)
    retired, absurd = (rebase_of(epoch, 5, experiment=bench.experiment).signed_by(STRANGER) for epoch in (3, 2**52))
    for signed in (retired, absurd):
        bench.hands.publish_as_0_1_0("rebase", signed)
    bench.hands.publish_as_0_1_0("channel:stable", far_channel(bench))
    assert rebase(bench.store, rule(bench.experiment), people()).epoch == 4
    assert bench.store.history("rebase")[1:] == [retired]
