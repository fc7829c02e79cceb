"""Prepares and checks a change before it is written to the store: the part that all implementations share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from event_schemas.shown_text import listed
from policy_store.records.account_record import AccountRecord
from policy_store.records.audit import AuditEvent
from policy_store.records.canonical_json import parse_object
from policy_store.records.channel_record import ChannelRecord, FreshnessRecord
from policy_store.records.checkpoint_record import RESERVED_FIELDS, CheckpointManifest, SignedCheckpoint, check_blobs
from policy_store.records.control_record import ControlRecord
from policy_store.records.experiment_record import ExperimentsRecord
from policy_store.records.governed_record import GovernedRecord, SignedRecord
from policy_store.records.ledger_record import LedgerRecord
from policy_store.records.preference_proposal import PreferenceProposal, ProposalStatus
from policy_store.records.preference_record import PreferenceRecord
from policy_store.records.rebase_record import RebaseRecord
from policy_store.records.store_errors import (
    ContractMismatch,
    LeaseHeld,
    LeaseLost,
    RecordMalformed,
    RevisionConflict,
    UnknownCheckpoint,
    UnknownProposal,
)

NEWEST_NAMED = 5
RECORD_TYPES: dict[str, type[GovernedRecord]] = {
    "channel": ChannelRecord,
    "freshness": FreshnessRecord,
    "preference": PreferenceRecord,
    "control": ControlRecord,
    "rebase": RebaseRecord,
    "experiments": ExperimentsRecord,
    "ledger": LedgerRecord,
    "account": AccountRecord,
}


def parse_record(signed: SignedRecord) -> GovernedRecord:
    """The record, of any kind. Raises RecordMalformed; does not verify the signature."""
    kind = parse_object(signed.record, "the signed record").get("kind")
    record_type = RECORD_TYPES.get(kind) if isinstance(kind, str) else None
    if record_type is None:
        raise RecordMalformed(
            f"a signed record has kind {kind!r}; known kinds are {', '.join(sorted(RECORD_TYPES))}",
            fix="publish it again with this version of trimtab",
        )
    return record_type.parse(signed.record)


@dataclass(frozen=True, slots=True)
class RecordChange:
    """One signed record to be written to its slot, with the conditions for that."""

    signed: SignedRecord
    parsed: GovernedRecord
    parent_revision: int | None
    fencing_token: int | None = None
    closes: PreferenceProposal | None = None

    @property
    def points_to(self) -> str | None:
        """The checkpoint that this record points to and that must exist."""
        return self.parsed.version if isinstance(self.parsed, ChannelRecord | FreshnessRecord) else None

    def closing(self, decided: PreferenceProposal) -> RecordChange:
        """This change together with the decision on a proposal."""
        return replace(self, closes=decided)

    def audited(self, at_ms: int) -> AuditEvent:
        """The audit entry for this change: the record itself, and the hash of exactly its bytes."""
        detail = self.parsed.model_dump(mode="json")
        detail |= {"key_id": self.signed.key_id, "sha256": self.signed.hash}
        if self.closes is not None:
            detail["proposal"] = self.closes.proposal_id
        return AuditEvent(at_ms, self.parsed.by, f"publish {self.parsed.slot}", detail)


def record_change(
    experiment: str,
    expected: tuple[type[GovernedRecord], ...],
    signed: SignedRecord,
    parent_revision: int | None,
    fencing_token: int | None = None,
) -> RecordChange:
    """Checks that a record belongs here and names the parent it is published over.

    Raises RecordMalformed, ContractMismatch (another experiment) or RevisionConflict.
    """
    parsed = parse_expected(experiment, expected, signed)
    if parsed.parent_revision != parent_revision:
        raise RevisionConflict(
            f"{parsed.slot}: the record names parent revision {parsed.parent_revision}, the writer read "
            f"{parent_revision}",
            fix="read the slot again and sign a record over its revision",
        )
    return RecordChange(signed, parsed, parent_revision, fencing_token)


def unordered_change(experiment: str, expected: type[GovernedRecord], signed: SignedRecord) -> RecordChange:
    """Checks that a record belongs here; for records not ordered by revision.

    Raises RecordMalformed or ContractMismatch.
    """
    parsed = parse_expected(experiment, (expected,), signed)
    return RecordChange(signed, parsed, parsed.parent_revision)


def parse_expected(experiment: str, expected: tuple[type[GovernedRecord], ...], signed: SignedRecord) -> GovernedRecord:
    """The record, if it is of an expected kind and of this experiment. Raises RecordMalformed, ContractMismatch."""
    parsed = parse_record(signed)
    if not isinstance(parsed, expected):
        raise RecordMalformed(
            f"got a {type(parsed).__name__} instead of {' or '.join(t.__name__ for t in expected)}",
            fix="publish it with the method for its kind",
        )
    require_experiment(experiment, parsed.experiment)
    return parsed


def revisions_of(records: Iterable[SignedRecord]) -> list[int]:
    """The revisions of the records that can be parsed."""
    revisions = []
    for signed in records:
        try:
            revisions.append(parse_record(signed).revision)
        except RecordMalformed:
            continue
    return revisions


def require_experiment(expected: str, found: str) -> None:
    """Raises ContractMismatch for a record or checkpoint of another experiment."""
    if found != expected:
        raise ContractMismatch(
            f"the record belongs to experiment {found!r}, but the store is for {expected!r}",
            fix="check TRIMTAB_EXPERIMENT: each experiment has its own key prefix in the store",
        )


def checkpoint_change(experiment: str, checkpoint: SignedCheckpoint) -> CheckpointManifest:
    """Checks that a checkpoint is complete and belongs here.

    Raises RecordMalformed, ContractMismatch, SignatureInvalid.
    """
    manifest = checkpoint.parsed()
    require_experiment(experiment, manifest.experiment)
    reserved = ", ".join(sorted(RESERVED_FIELDS & set(manifest.blobs)))
    if reserved:
        raise RecordMalformed(
            f"checkpoint {manifest.version}: blobs have reserved names: {reserved}", fix="rename them"
        )
    check_blobs(manifest, checkpoint.blobs)
    return manifest


def checkpoint_audited(checkpoint: SignedCheckpoint, manifest: CheckpointManifest, at_ms: int) -> AuditEvent:
    """The audit entry for a new checkpoint."""
    detail = {
        "version": manifest.version,
        "sha256": hashlib.sha256(checkpoint.manifest).hexdigest(),
        "verdict": manifest.verdict,
    }
    return AuditEvent(at_ms, checkpoint.key_id, "put checkpoint", detail)


def proposal_audited(proposal: PreferenceProposal, at_ms: int) -> AuditEvent:
    """The audit entry for a proposal that was made or rejected."""
    made = proposal.status is ProposalStatus.OPEN
    actor = proposal.by if made or proposal.decided_by is None else proposal.decided_by
    return AuditEvent(at_ms, actor, "propose" if made else "reject", proposal.model_dump(mode="json"))


def revision_conflict(change: RecordChange, current: int | None) -> RevisionConflict:
    """The error when the slot has changed since the writer read it, or the new revision is not higher."""
    return RevisionConflict(
        f"{change.parsed.slot} is at revision {current}; revision {change.parsed.revision} was written over "
        f"parent {change.parent_revision}",
        fix="somebody published in between: check `trimtab policy history` and decide again",
    )


def slot_moved(slot: str) -> RevisionConflict:
    """The error when somebody published to a slot while a re-base was planned."""
    return RevisionConflict(
        f"{slot} has changed since the re-base was planned", fix="run `trimtab policy rebase` again"
    )


def version_conflict(version: str) -> RevisionConflict:
    """The error when a version already exists with other bytes."""
    return RevisionConflict(
        f"checkpoint {version} exists with other content; checkpoints never change",
        fix="give the new checkpoint its own version",
    )


def unknown_checkpoint(version: str, known: Sequence[str] = ()) -> UnknownCheckpoint:
    """The error when there is no such version; `known` are those that there are, oldest first, if that was asked."""
    newest = f"; its newest are {', '.join(reversed(known[-NEWEST_NAMED:]))}" if known else ""
    return UnknownCheckpoint(
        f"the store has no checkpoint {version!r}{newest}", fix="list the versions with `trimtab policy list`"
    )


def unknown_proposal(proposal_id: str, opened: Sequence[str] = ()) -> UnknownProposal:
    """The error when there is no such open proposal; `opened` are those that there are, if that was asked."""
    others = f"; open are {listed(opened)}" if opened else ""
    return UnknownProposal(
        f"there is no open proposal {proposal_id!r}{others}", fix="list the proposals with `trimtab alpha show`"
    )


def proposal_conflict(proposal_id: str) -> RevisionConflict:
    """The error when a proposal's id is taken."""
    return RevisionConflict(f"proposal {proposal_id!r} already exists", fix="propose again with a new id")


def lease_lost(token: int) -> LeaseLost:
    """The error when a fencing token is not that of the current lease."""
    return LeaseLost(
        f"the learner's lease with fencing token {token} has expired or passed to another owner",
        fix="nothing was written: the learner goes on once it has the lease again, if no other learner is running",
    )


def lease_held(owner: str, left_ms: int) -> LeaseHeld:
    """The error when another owner has the lease."""
    return LeaseHeld(
        f"the learner's lease is held by {owner!r} for another {max(left_ms, 0)} ms",
        fix="only one learner may train and publish: stop the other one, or let it run; a killed one loses it by then",
    )
