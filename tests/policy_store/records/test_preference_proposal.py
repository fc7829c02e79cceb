"""Proposals."""

from __future__ import annotations

import uuid

import pytest

from policy_store.records.preference_proposal import PreferenceProposal, ProposalStatus, new_proposal_id
from policy_store.records.preference_record import PreferenceTarget
from policy_store.records.store_errors import RecordMalformed
from tests.policy_store.store_samples import NOW

PROPOSAL = PreferenceProposal(
    proposal_id="p-1",
    experiment="homefeed",
    cohort="CORE",
    target=PreferenceTarget.of(alpha=0.3),
    by="ada",
    created_at=NOW,
    base_revision=None,
)


def test_a_proposal_survives_its_bytes_before_and_after_the_decision() -> None:
    decided = PROPOSAL.decided(ProposalStatus.APPROVED, "grace", "agreed", NOW + 1)
    for proposal in (PROPOSAL, decided):
        assert PreferenceProposal.parse(proposal.canonical()) == proposal
    assert (decided.status, decided.decided_by, decided.decided_at) == (ProposalStatus.APPROVED, "grace", NOW + 1)
    assert PROPOSAL.status is ProposalStatus.OPEN


def test_a_damaged_proposal_is_named() -> None:
    with pytest.raises(RecordMalformed, match=r"target\.alpha"):
        PreferenceProposal.parse(PROPOSAL.canonical().replace(b"0.3", b"3.0"))
    with pytest.raises(RecordMalformed, match="proposal"):
        PreferenceProposal.parse(b"{")


def test_ids_come_from_the_source() -> None:
    assert new_proposal_id(uuid.UUID(int=0xABC << 116)) == "p-abc000000000"
