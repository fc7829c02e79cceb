"""What is checked before anything is written."""

from __future__ import annotations

import hashlib

import pytest

from policy_store.backends.store_change import (
    RecordChange,
    checkpoint_audited,
    checkpoint_change,
    lease_held,
    parse_record,
    proposal_audited,
    record_change,
)
from policy_store.records.channel_record import Channel, ChannelRecord, FreshnessRecord
from policy_store.records.control_record import ControlRecord
from policy_store.records.governed_record import SignedRecord
from policy_store.records.preference_proposal import PreferenceProposal
from policy_store.records.preference_record import PreferenceRecord, PreferenceTarget
from policy_store.records.store_errors import ContractMismatch, RecordMalformed, RevisionConflict
from tests.policy_store.store_samples import NOW, PEOPLE, checkpoint

CHANNEL = ChannelRecord(
    experiment="homefeed", channel=Channel.STABLE, version="v1", revision=7, expires_at=NOW, by="ada"
)
CONTROL = ControlRecord(experiment="homefeed", revision=7, by="ada", killed=True)


def test_every_kind_of_record_is_recognised() -> None:
    fresh = FreshnessRecord.from_content(
        {"experiment": "x", "channel": "stable", "version": "v1", "revision": 1, "expires_at": 1, "by": "a"}
        | {"channel_revision": 1}
    )
    preference = PreferenceRecord(experiment="x", revision=1, by="a", default=PreferenceTarget.of(alpha=0.5))
    for record in (CHANNEL, CONTROL, fresh, preference):
        assert parse_record(record.signed_by(PEOPLE)) == record


@pytest.mark.parametrize("payload", [b"{}", b'{"kind":"manifest"}', b'{"kind":5}', b"?"])
def test_an_unknown_kind_is_malformed(payload: bytes) -> None:
    with pytest.raises(RecordMalformed):
        parse_record(SignedRecord(payload, b"", "learner/main"))


def test_only_records_with_a_version_point_to_a_checkpoint() -> None:
    assert record_change("homefeed", (ChannelRecord,), CHANNEL.signed_by(PEOPLE), None).points_to == "v1"
    assert record_change("homefeed", (ControlRecord,), CONTROL.signed_by(PEOPLE), None).points_to is None


def test_a_change_that_does_not_belong_here_is_refused() -> None:
    signed = CHANNEL.signed_by(PEOPLE)
    with pytest.raises(RecordMalformed, match="got a ChannelRecord instead of ControlRecord"):
        record_change("homefeed", (ControlRecord,), signed, None)
    with pytest.raises(ContractMismatch, match="homefeed"):
        record_change("elsewhere", (ChannelRecord,), signed, None)
    with pytest.raises(RevisionConflict, match="parent revision None, the writer read 6"):
        record_change("homefeed", (ChannelRecord,), signed, 6)


def test_the_audit_names_the_bytes_that_were_signed() -> None:
    signed = CONTROL.signed_by(PEOPLE)
    event = RecordChange(signed, CONTROL, None).audited(NOW)
    assert (event.at_ms, event.actor, event.action) == (NOW, "ada", "publish control")
    assert event.detail["sha256"] == hashlib.sha256(signed.record).hexdigest()
    assert (event.detail["killed"], event.detail["key_id"]) == (True, "governance/board")


def proposal(**changes: object) -> PreferenceProposal:
    content = {"proposal_id": "p-1", "experiment": "x", "cohort": None, "target": PreferenceTarget.of(alpha=0.5)}
    return PreferenceProposal.model_validate(
        content | {"by": "ada", "created_at": NOW, "base_revision": None} | changes
    )


def test_the_audit_names_the_proposal_that_a_change_closes() -> None:
    change = RecordChange(CONTROL.signed_by(PEOPLE), CONTROL, None).closing(proposal())
    assert change.audited(NOW).detail["proposal"] == "p-1"


def test_the_audit_of_a_proposal_names_who_made_or_rejected_it() -> None:
    made = proposal()
    rejected = PreferenceProposal.parse(made.canonical().replace(b'"open"', b'"rejected"')).model_copy(
        update={"decided_by": "grace"}
    )
    assert [(e.actor, e.action) for e in (proposal_audited(made, NOW), proposal_audited(rejected, NOW))] == [
        ("ada", "propose"),
        ("grace", "reject"),
    ]


def test_a_checkpoint_is_checked_and_audited_by_its_hash() -> None:
    signed = checkpoint("homefeed")
    manifest = checkpoint_change("homefeed", signed)
    event = checkpoint_audited(signed, manifest, NOW)
    assert event.detail == {
        "version": "v1",
        "sha256": hashlib.sha256(signed.manifest).hexdigest(),
        "verdict": "pass",
    }
    with pytest.raises(ContractMismatch, match="elsewhere"):
        checkpoint_change("elsewhere", signed)


def test_a_held_lease_says_for_how_long() -> None:
    assert "'a' for another 0 ms" in lease_held("a", -5).what
