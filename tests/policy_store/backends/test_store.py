"""The contract of PolicyStore, over every implementation."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest

from event_schemas.errors import TrimtabError
from event_schemas.instant import wall_clock_ms
from event_schemas.units import DAY_MS
from policy_store.backends.store import MAX_BLOCK_MS
from policy_store.decisions.governance import (
    approve_proposal,
    point_channel,
    propose_preference,
)
from policy_store.decisions.kill_decisions import kill
from policy_store.records.audit import verify_chain
from policy_store.records.channel_record import Channel, ChannelRecord
from policy_store.records.checkpoint_record import SignedCheckpoint, describe_blobs, sign_checkpoint
from policy_store.records.control_record import ControlRecord
from policy_store.records.governed_record import SignedRecord
from policy_store.records.preference_proposal import ProposalStatus
from policy_store.records.preference_record import PreferenceTarget
from policy_store.records.rebase_record import REBASE_SLOT, SlotRemoval
from policy_store.records.store_errors import (
    ContractMismatch,
    LeaseHeld,
    LeaseLost,
    RecordMalformed,
    RevisionConflict,
    SignatureInvalid,
    UnknownCheckpoint,
    UnknownProposal,
)
from tests.policy_store.store_samples import (
    BLOBS,
    LEARNER,
    NOW,
    PEOPLE,
    TTL_MS,
    StoreBench,
    checkpoint,
    learner,
    manifest,
    people,
    rule,
    set_preference,
)

ALPHA = PreferenceTarget.of(alpha=0.3)


def channel_record(bench: StoreBench, revision: int, parent: int | None = None, version: str = "v1") -> SignedRecord:
    return ChannelRecord(
        experiment=bench.experiment,
        channel=Channel.STABLE,
        version=version,
        revision=revision,
        parent_revision=parent,
        expires_at=NOW + TTL_MS,
        by="ada",
    ).signed_by(PEOPLE)


def test_a_checkpoint_comes_back_byte_for_byte(bench: StoreBench) -> None:
    kept = checkpoint(bench.experiment)
    bench.store.put_checkpoint(kept)
    assert bench.second.get_checkpoint("v1") == kept


def test_checkpoints_are_listed_as_they_came_whatever_clocks_say(bench: StoreBench) -> None:
    put = [("b", NOW), ("c", NOW - DAY_MS), ("a", NOW + 900 * DAY_MS), ("e", 1), ("d", NOW), ("b", NOW)]
    for version, created_at in put:
        made = manifest(bench.experiment, version, created_at=created_at)
        bench.store.put_checkpoint(sign_checkpoint(made, BLOBS, LEARNER))
    came = ["b", "c", "a", "e", "d"]
    assert [each.version for each in bench.second.list_checkpoints()] == came
    assert bench.second.versions() == came, "the same checkpoint again does not become the newest"


def test_the_same_checkpoint_twice_changes_nothing(bench: StoreBench) -> None:
    bench.store.put_checkpoint(checkpoint(bench.experiment))
    bench.store.put_checkpoint(checkpoint(bench.experiment))
    assert len(bench.store.audit_entries()) == 1
    assert len(bench.store.updates_since("0")) == 1


def test_a_version_is_never_overwritten(bench: StoreBench) -> None:
    first = checkpoint(bench.experiment)
    bench.store.put_checkpoint(first)
    other = {"policy.onnx": b"other"}
    changed = manifest(bench.experiment, blobs={"policy.onnx": describe_blobs(other)["policy.onnx"].model_dump()})
    with pytest.raises(RevisionConflict, match="v1"):
        bench.second.put_checkpoint(sign_checkpoint(changed, other, LEARNER))
    assert bench.store.get_checkpoint("v1") == first


def test_a_checkpoint_with_a_blob_cut_short_is_refused(bench: StoreBench) -> None:
    whole = checkpoint(bench.experiment)
    cut = SignedCheckpoint(whole.manifest, whole.signature, whole.key_id, {**whole.blobs, "policy.onnx": b"\x08"})
    with pytest.raises(SignatureInvalid, match=r"policy\.onnx"):
        bench.store.put_checkpoint(cut)
    with pytest.raises(UnknownCheckpoint, match="v1"):
        bench.store.get_checkpoint("v1")


def test_a_checkpoint_of_another_experiment_is_refused(bench: StoreBench) -> None:
    with pytest.raises(ContractMismatch, match="elsewhere"):
        bench.store.put_checkpoint(checkpoint("elsewhere"))


def test_nothing_is_there_before_the_first_publish(bench: StoreBench) -> None:
    assert [bench.store.channel(channel) for channel in Channel] == [None, None, None]
    assert bench.store.freshness("stable") is None
    assert bench.store.preference() is None
    assert bench.store.control() is None
    assert bench.store.proposals() == []
    assert bench.store.history("channel:stable") == []
    assert bench.store.nodes() == []
    assert verify_chain(bench.store.audit_entries()) == "0" * 64


def test_an_unknown_channel_is_named(bench: StoreBench) -> None:
    with pytest.raises(RecordMalformed, match="'beta'"):
        bench.store.channel("beta")
    with pytest.raises(RecordMalformed, match="'beta'"):
        bench.store.freshness("beta")


def test_a_channel_record_comes_back_with_its_history(bench: StoreBench) -> None:
    bench.store.put_checkpoint(checkpoint(bench.experiment))
    first, second = channel_record(bench, 5), channel_record(bench, 6, parent=5)
    bench.store.publish_channel(first, parent_revision=None)
    bench.store.publish_channel(second, parent_revision=5)
    assert bench.second.channel("stable") == second
    assert bench.second.channel("shadow") is None
    assert bench.second.history("channel:stable") == [second, first]


@pytest.mark.parametrize(("revision", "parent"), [(6, None), (6, 4), (5, 5), (4, 5)])
def test_a_record_over_a_wrong_parent_or_without_a_higher_revision_conflicts(
    bench: StoreBench, revision: int, parent: int | None
) -> None:
    bench.store.put_checkpoint(checkpoint(bench.experiment))
    first = channel_record(bench, 5)
    bench.store.publish_channel(first, parent_revision=None)
    before = bench.store.audit_entries()
    with pytest.raises(RevisionConflict, match="revision"):
        bench.second.publish_channel(channel_record(bench, revision, parent), parent_revision=parent)
    assert bench.store.channel("stable") == first
    assert bench.store.audit_entries() == before


def test_a_record_must_name_the_parent_it_is_published_over(bench: StoreBench) -> None:
    bench.store.put_checkpoint(checkpoint(bench.experiment))
    with pytest.raises(RevisionConflict, match="names parent"):
        bench.store.publish_channel(channel_record(bench, 6, parent=3), parent_revision=None)


def test_a_channel_cannot_point_to_a_checkpoint_the_store_lacks(bench: StoreBench) -> None:
    with pytest.raises(UnknownCheckpoint, match="v7"):
        bench.store.publish_channel(channel_record(bench, 5, version="v7"), parent_revision=None)
    assert bench.store.channel("stable") is None


def test_a_record_of_another_kind_or_experiment_is_refused(bench: StoreBench) -> None:
    control = ControlRecord(experiment=bench.experiment, revision=1, by="ada", killed=True).signed_by(PEOPLE)
    proposal = propose_preference(bench.store, "p-1", None, ALPHA, people())
    foreign = ControlRecord(experiment="elsewhere", revision=1, by="ada", killed=True).signed_by(PEOPLE)
    with pytest.raises(RecordMalformed, match="ControlRecord"):
        bench.store.publish_channel(control, parent_revision=None)
    with pytest.raises(RecordMalformed, match="ControlRecord"):
        bench.store.approve(proposal, control, parent_revision=None)
    with pytest.raises(ContractMismatch, match="elsewhere"):
        bench.store.publish_control(foreign)
    with pytest.raises(RecordMalformed, match="ChannelRecord"):
        bench.store.publish_control(channel_record(bench, 5))
    with pytest.raises(RecordMalformed, match="ControlRecord"):
        bench.store.publish_rebase(control, SlotRemoval(REBASE_SLOT, b"", None, ()), ())


def run_at_once(jobs: list[Callable[[], object]]) -> list[TrimtabError]:
    """Run all jobs at the same moment; the errors of those that failed."""
    errors: list[TrimtabError] = []
    barrier = threading.Barrier(len(jobs))

    def work(job: Callable[[], object]) -> None:
        barrier.wait()
        try:
            job()
        except TrimtabError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_of_many_writers_over_one_parent_exactly_one_wins(bench: StoreBench) -> None:
    bench.store.put_checkpoint(checkpoint(bench.experiment))
    records = [channel_record(bench, 10 + number) for number in range(8)]
    stores = [bench.store, bench.second]
    errors = run_at_once(
        [
            partial(stores[number % 2].publish_channel, record, parent_revision=None)
            for number, record in enumerate(records)
        ]
    )
    assert [type(error) for error in errors] == [RevisionConflict] * 7
    assert bench.store.history("channel:stable") == [bench.store.channel("stable")]
    assert len(bench.store.audit_entries()) == 2
    verify_chain(bench.store.audit_entries())


def test_many_writers_leave_one_unbroken_audit(bench: StoreBench) -> None:
    def append(store_number: int) -> None:
        store = (bench.store, bench.second)[store_number % 2]
        for number in range(10):
            store.append_audit(f"node-{store_number}", "picked up", {"number": number})

    assert run_at_once([partial(append, number) for number in range(6)]) == []
    entries = bench.store.audit_entries()
    assert len(entries) == 60
    assert verify_chain(entries) == entries[-1].hash


def test_audit_detail_must_be_json(bench: StoreBench) -> None:
    with pytest.raises(RecordMalformed, match="JSON"):
        bench.store.append_audit("ada", "note", {"value": float("nan")})
    assert bench.store.audit_entries() == []


def test_every_change_is_audited_with_who_did_what(bench: StoreBench) -> None:
    bench.store.put_checkpoint(checkpoint(bench.experiment))
    point_channel(bench.store, Channel.SHADOW, "v1", learner(), ttl_ms=TTL_MS)
    kill(bench.store, people())
    said = [(entry.content["actor"], entry.content["action"]) for entry in bench.second.audit_entries()]
    assert said == [
        ("learner/main", "put checkpoint"),
        ("learner main", "publish channel:shadow"),
        ("ada", "publish control"),
    ]


def test_a_lease_belongs_to_one_until_it_expires(bench: StoreBench) -> None:
    first = bench.store.acquire_lease("a", ttl_s=1)
    with pytest.raises(LeaseHeld, match="'a'"):
        bench.second.acquire_lease("b", ttl_s=1)
    bench.let_pass(1_100)
    second = bench.second.acquire_lease("b", ttl_s=60)
    assert second.token != first.token
    with pytest.raises(LeaseLost, match=str(first.token)):
        bench.store.renew_lease(first)
    bench.store.release_lease(first)
    with pytest.raises(LeaseHeld):
        bench.store.acquire_lease("a", ttl_s=1)
    bench.second.release_lease(second)
    assert bench.store.lease_owner() is None
    assert bench.store.acquire_lease("a", ttl_s=1).token not in (first.token, second.token)


def test_a_renewed_lease_lives_on(bench: StoreBench) -> None:
    lease = bench.store.acquire_lease("a", ttl_s=1.5)
    bench.let_pass(900)
    assert bench.second.lease_owner() == "a"
    bench.store.renew_lease(lease)
    bench.let_pass(900)
    with pytest.raises(LeaseHeld):
        bench.second.acquire_lease("b", ttl_s=1)


def test_a_learner_that_lost_its_lease_publishes_nothing(bench: StoreBench) -> None:
    stale = bench.store.acquire_lease("a", ttl_s=1)
    bench.store.put_checkpoint(checkpoint(bench.experiment), fencing_token=stale.token)
    bench.let_pass(1_100)
    with pytest.raises(LeaseLost):
        point_channel(bench.store, Channel.SHADOW, "v1", learner(), ttl_ms=TTL_MS, fencing_token=stale.token)
    current = bench.second.acquire_lease("b", ttl_s=60)
    with pytest.raises(LeaseLost):
        point_channel(bench.store, Channel.SHADOW, "v1", learner(), ttl_ms=TTL_MS, fencing_token=stale.token)
    with pytest.raises(LeaseLost):
        bench.store.put_checkpoint(checkpoint(bench.experiment, "v2"), fencing_token=stale.token)
    assert bench.store.channel("shadow") is None
    point_channel(bench.second, Channel.SHADOW, "v1", learner(), ttl_ms=TTL_MS, fencing_token=current.token)
    assert bench.store.channel("shadow") is not None


def test_proposals_are_kept_with_their_decisions(bench: StoreBench) -> None:
    for number, proposal_id in enumerate(("p-1", "p-2", "p-3")):
        propose_preference(bench.store, proposal_id, None, ALPHA, people(NOW + number))
    approve_proposal(bench.second, "p-2", PreferenceTarget.of(alpha=0.1), people(), rule(bench.experiment))
    p1 = bench.store.proposals()[0]
    bench.store.reject(p1.decided(ProposalStatus.REJECTED, "ada", "too early", NOW))
    assert [(each.proposal_id, each.status) for each in bench.second.proposals()] == [
        ("p-1", "rejected"),
        ("p-2", "approved"),
        ("p-3", "open"),
    ]


def test_a_proposal_id_is_used_once_and_decided_once(bench: StoreBench) -> None:
    proposal = propose_preference(bench.store, "p-1", None, ALPHA, people())
    with pytest.raises(RevisionConflict, match="p-1"):
        bench.second.propose(proposal)
    approve_proposal(bench.store, "p-1", ALPHA, people(), rule(bench.experiment))
    with pytest.raises(UnknownProposal, match="p-1"):
        bench.second.reject(proposal)
    with pytest.raises(UnknownProposal, match="p-9"):
        bench.second.reject(proposal.model_copy(update={"proposal_id": "p-9"}))


def test_an_approval_that_conflicts_leaves_the_proposal_open(bench: StoreBench) -> None:
    proposal = propose_preference(bench.store, "p-1", None, ALPHA, people())
    record = set_preference(bench.store, ALPHA, people())
    late = record.model_copy(update={"revision": record.revision + 1}).signed_by(PEOPLE)
    with pytest.raises(RevisionConflict):
        bench.second.approve(proposal, late, parent_revision=None)
    assert bench.store.proposals()[0] == proposal


def test_updates_tell_what_changed_in_order(bench: StoreBench) -> None:
    bench.store.put_checkpoint(checkpoint(bench.experiment))
    record = point_channel(bench.store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)
    updates = bench.second.updates_since("0")
    assert [(each.slot, each.value) for each in updates] == [
        ("checkpoint", "v1"),
        ("channel:stable", str(record.revision)),
    ]
    assert bench.second.updates_since(updates[0].update_id) == updates[1:]
    assert list(bench.second.updates_since(updates[-1].update_id)) == []


def test_waiting_for_updates_ends_with_one_or_with_the_time(bench: StoreBench) -> None:
    started = wall_clock_ms()
    assert list(bench.store.updates_since("0", block_ms=60)) == []
    assert 50 <= wall_clock_ms() - started < MAX_BLOCK_MS

    timer = threading.Timer(0.1, lambda: kill(bench.second, people()))
    timer.start()
    updates = bench.store.updates_since("0", block_ms=60_000)
    timer.join()
    assert [each.slot for each in updates] == ["control"]


def test_nodes_are_those_whose_heartbeat_has_not_expired(bench: StoreBench) -> None:
    bench.store.heartbeat("node-b", {"version": "v1"}, ttl_s=1)
    bench.store.heartbeat("node-a", {"version": "v1"}, ttl_s=60)
    bench.store.heartbeat("node-a", {"version": "v2", "stale": False}, ttl_s=60)
    assert [each.node_id for each in bench.second.nodes()] == ["node-a", "node-b"]
    bench.let_pass(1_100)
    assert [(each.node_id, dict(each.status)) for each in bench.second.nodes()] == [
        ("node-a", {"version": "v2", "stale": False})
    ]


def test_a_heartbeat_returns_the_one_it_replaces(bench: StoreBench) -> None:
    assert bench.store.heartbeat("n1", {"instance": "a"}, ttl_s=1) == {}
    assert bench.second.heartbeat("n1", {"instance": "b"}, ttl_s=1) == {"instance": "a"}
    assert bench.store.heartbeat("n2", {"instance": "c"}, ttl_s=1) == {}
    bench.let_pass(1_100)
    assert bench.store.heartbeat("n1", {}, ttl_s=1) == {}, "it had expired"
