"""Decisions: what they write, and what happens when somebody else decides in between."""

from __future__ import annotations

import pytest

from event_schemas.units import HOUR_MS
from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.governance import (
    approve_proposal,
    current_channel,
    find_open_proposal,
    keep_fresh,
    point_channel,
    propose_preference,
    publish_checkpoint,
    reject_proposal,
    require_served_before,
    rollback_version,
)
from policy_store.decisions.kill_decisions import kill
from policy_store.decisions.record_places import Decider, Statement
from policy_store.records.channel_record import Channel, ChannelRecord
from policy_store.records.preference_proposal import ProposalStatus
from policy_store.records.preference_record import PreferenceRecord, PreferenceTarget
from policy_store.records.store_errors import (
    ClocksDisagree,
    ContractMismatch,
    PromotionRefused,
    RecordMalformed,
    RevisionAhead,
    RevisionConflict,
    SignatureInvalid,
    UnknownCheckpoint,
    UnknownProposal,
)
from tests.policy_store import store_samples
from tests.policy_store.foreign_hands import MemoryHands
from tests.policy_store.store_samples import (
    BLOBS,
    LEARNER,
    NOW,
    PEOPLE,
    STRANGER,
    TTL_MS,
    manifest,
    rule,
    set_preference,
)

X = "homefeed"
ALPHA = {number: PreferenceTarget.of(alpha=number / 10) for number in range(11)}


def people(now_ms: int = NOW) -> Decider:
    return store_samples.people(now_ms)


@pytest.fixture
def store() -> MemoryStore:
    made = MemoryStore(X, clock=lambda: NOW)
    for version in ("v1", "v2", "v3"):
        publish_checkpoint(made, manifest(X, version), BLOBS, LEARNER)
    return made


def point(store: MemoryStore, *versions: str) -> None:
    for version in versions:
        point_channel(store, Channel.STABLE, version, people(), ttl_ms=TTL_MS)


def preference(store: MemoryStore) -> PreferenceRecord:
    signed = store.preference()
    assert signed is not None
    return PreferenceRecord.parse(signed.record)


def test_revisions_and_expiry_follow_the_stores_clock_and_grow_without_it(store: MemoryStore) -> None:
    first = point_channel(store, Channel.STABLE, "v1", people(NOW + 99), ttl_ms=TTL_MS)
    second = point_channel(store, Channel.STABLE, "v2", people(NOW - 99), ttl_ms=TTL_MS)
    store.clock = lambda: NOW + 99
    third = point_channel(store, Channel.STABLE, "v1", people(NOW), ttl_ms=TTL_MS)
    assert [first.revision, second.revision, third.revision] == [NOW + 1, NOW + 2, NOW + 100]
    assert [first.parent_revision, second.parent_revision, third.parent_revision] == [None, NOW + 1, NOW + 2]
    assert [first.expires_at, third.expires_at] == [NOW + TTL_MS, NOW + 99 + TTL_MS]
    assert (second.by, third.reason) == ("ada", "looks good")
    assert current_channel(store, Channel.STABLE) == third
    assert keep_fresh(store, Channel.STABLE, people(), ttl_ms=TTL_MS).expires_at == NOW + 99 + TTL_MS


def test_a_revision_lies_above_the_history_and_what_nodes_report(store: MemoryStore) -> None:
    """The slot was set back by hand, and nodes have seen a higher revision than the store has."""
    point(store, "v1", "v2", "v3")
    contents = store._contents
    contents.slots["channel:stable"] = contents.histories["channel:stable"][-1]
    assert point_channel(store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS).revision == NOW + 4
    store.heartbeat("n1", {"revisions": {"channel:stable": NOW + 50, "preference": NOW + 70}}, 60)
    assert point_channel(store, Channel.STABLE, "v2", people(), ttl_ms=TTL_MS).revision == NOW + 51
    assert set_preference(store, ALPHA[1], people()).revision == NOW + 71


def test_nothing_is_published_more_than_an_hour_ahead_of_the_store(store: MemoryStore) -> None:
    store.heartbeat("n1", {"revisions": {"channel:stable": NOW + HOUR_MS - 1}}, 60)
    assert point_channel(store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS).revision == NOW + HOUR_MS
    before = store.audit_entries()
    with pytest.raises(RevisionAhead, match=r"from the store.*more than an hour ahead") as refused:
        point_channel(store, Channel.STABLE, "v2", people(), ttl_ms=TTL_MS)
    assert "trimtab policy rebase" in refused.value.fix
    store.heartbeat("n2", {"revisions": {"channel:stable": 2**53 - 1}}, 60)
    with pytest.raises(RevisionAhead, match="from node n2"):
        point_channel(store, Channel.STABLE, "v2", people(), ttl_ms=TTL_MS)
    assert store.audit_entries() == before


@pytest.mark.parametrize("off_ms", [HOUR_MS + 1, -HOUR_MS - 1, 10 * 365 * 24 * HOUR_MS])
def test_a_writer_whose_clock_is_wrong_publishes_nothing(store: MemoryStore, off_ms: int) -> None:
    wrong = people(NOW + off_ms)
    point(store, "v1")
    propose_preference(store, "p-1", None, ALPHA[1], people())
    for publish in (
        lambda: point_channel(store, Channel.STABLE, "v2", wrong, ttl_ms=TTL_MS),
        lambda: keep_fresh(store, Channel.STABLE, wrong, ttl_ms=TTL_MS),
        lambda: approve_proposal(store, "p-1", ALPHA[1], wrong, rule(X)),
    ):
        with pytest.raises(ClocksDisagree, match="2023-11-14 22:13:20Z"):
            publish()
    assert [update.slot for update in store.updates_since("0")][3:] == ["channel:stable", "proposal"]


def test_a_channel_points_to_what_exists(store: MemoryStore) -> None:
    with pytest.raises(UnknownCheckpoint, match="v9"):
        point(store, "v9")
    with pytest.raises(UnknownCheckpoint, match="shadow"):
        current_channel(store, Channel.SHADOW)
    with pytest.raises(UnknownCheckpoint, match="shadow"):
        keep_fresh(store, Channel.SHADOW, people(), ttl_ms=TTL_MS)


def test_an_odd_version_is_malformed(store: MemoryStore) -> None:
    with pytest.raises(RecordMalformed, match="version"):
        point(store, "v 1")


def test_a_rollback_undoes_one_step_after_another(store: MemoryStore) -> None:
    point(store, "v1", "v2", "v2", "v3")
    for expected in ("v2", "v1"):
        assert rollback_version(store, Channel.STABLE) == expected
        point(store, expected)
    with pytest.raises(UnknownCheckpoint, match="no earlier"):
        rollback_version(store, Channel.STABLE)
    revisions = [ChannelRecord.parse(signed.record).revision for signed in store.history("channel:stable")]
    assert revisions == sorted(revisions, reverse=True)


def test_versions_skipped_by_a_rollback_are_no_way_back(store: MemoryStore) -> None:
    point(store, "v1", "v2", "v3")
    point(store, "v1")
    point(store, "v3")
    assert rollback_version(store, Channel.STABLE) == "v1"


def test_an_approved_proposal_changes_one_target_and_keeps_the_others(store: MemoryStore) -> None:
    for number, (cohort, target) in enumerate([("CORE", ALPHA[4]), (None, ALPHA[3]), ("NEW", ALPHA[9])]):
        propose_preference(store, f"p-{number}", cohort, target, people())
        approve_proposal(store, f"p-{number}", ALPHA[1], people(), rule(X))
    record = preference(store)
    assert (record.default, record.cohorts) == (ALPHA[3], {"CORE": ALPHA[4], "NEW": ALPHA[9]})
    assert {each.status for each in store.proposals()} == {ProposalStatus.APPROVED}


def test_the_first_approval_for_a_cohort_keeps_the_initial_default(store: MemoryStore) -> None:
    propose_preference(store, "p-0", "CORE", ALPHA[4], people())
    assert approve_proposal(store, "p-0", ALPHA[1], people(), rule(X)).default == ALPHA[1]


def test_a_proposal_over_a_preference_that_has_moved_is_not_approved(store: MemoryStore) -> None:
    propose_preference(store, "p-0", None, ALPHA[4], people())
    set_preference(store, ALPHA[9], people())
    with pytest.raises(RevisionConflict, match="propose again"):
        approve_proposal(store, "p-0", ALPHA[1], people(), rule(X))
    assert preference(store).default == ALPHA[9]
    assert find_open_proposal(store, "p-0").status is ProposalStatus.OPEN


def test_a_rejected_proposal_changes_nothing_and_cannot_be_approved(store: MemoryStore) -> None:
    propose_preference(store, "p-0", None, ALPHA[4], people())
    rejected = reject_proposal(store, "p-0", Statement(by="grace", reason="too far", now_ms=NOW + 5))
    assert (rejected.status, rejected.decided_by, rejected.decided_reason) == ("rejected", "grace", "too far")
    assert store.preference() is None
    with pytest.raises(UnknownProposal, match="p-0"):
        approve_proposal(store, "p-0", ALPHA[1], people(), rule(X))
    with pytest.raises(UnknownProposal, match="p-0"):
        reject_proposal(store, "p-0", people())


@pytest.mark.parametrize(("by", "reason"), [("", "x"), ("  ", "x"), ("a" * 201, "x"), ("ada", "x" * 2001)])
def test_a_decision_has_a_name_and_a_reason_of_some_length(by: str, reason: str) -> None:
    with pytest.raises(RecordMalformed, match="name"):
        Decider(by=by, reason=reason, now_ms=NOW, key=PEOPLE)


def test_the_way_back_leads_only_to_what_somebody_trusted_decided(store: MemoryStore) -> None:
    point(store, "v1")
    forger = Decider(by="eve", reason="", now_ms=NOW, key=STRANGER)
    point_channel(store, Channel.STABLE, "v2", forger, ttl_ms=TTL_MS)
    require_served_before(store, Channel.STABLE, "v1", rule(X))
    for version in ("v2", "v3"):
        with pytest.raises(PromotionRefused, match="policy promote"):
            require_served_before(store, Channel.STABLE, version, rule(X))


def test_a_cohort_alone_is_not_approved_while_nobody_has_weighed_the_objectives(store: MemoryStore) -> None:
    propose_preference(store, "p-0", "CORE", ALPHA[4], people())
    with pytest.raises(ContractMismatch, match="everybody else first"):
        approve_proposal(store, "p-0", None, people(), rule(X))
    assert store.preference() is None


def test_the_newest_record_that_is_a_preference_is_changed_and_must_verify(store: MemoryStore) -> None:
    hands = MemoryHands(store)
    set_preference(store, ALPHA[4], people(), cohort="CORE")
    kill(store, people())
    hands.put("preference", next(iter(store.control_records().kills.values())))
    assert set_preference(store, ALPHA[3], people()).cohorts == {"CORE": ALPHA[4]}
    hands.put("preference", preference(store).signed_by(STRANGER))
    with pytest.raises(SignatureInvalid, match="trusted"):
        set_preference(store, ALPHA[9], people())
