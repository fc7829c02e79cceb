"""The checks that a reader makes before it uses a record. Bytes in, verified content or an error out.

Order of the checks for a channel: signature → role → experiment and channel → revision
(`policy_store.records.revision_rules`) → expiry → manifest signature and role → version → experiment,
action space, feature contract → blob hashes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from event_schemas.instant import utc_text
from policy_store.backends.store import PolicyStore
from policy_store.records.account_record import ACCOUNT_SLOT
from policy_store.records.channel_record import Channel, ChannelRecord, FreshnessRecord
from policy_store.records.checkpoint_record import CheckpointManifest, SignedCheckpoint, check_blobs
from policy_store.records.governed_record import GovernedRecord, SignedRecord
from policy_store.records.revision_rules import ReaderMemory
from policy_store.records.signing import Role, SigningKey, TrustedKeys, role_of
from policy_store.records.store_errors import (
    ContractMismatch,
    PromotionRefused,
    RecordExpired,
    RecordFromFuture,
    RecordMalformed,
    RecordVoided,
    RevisionRegressed,
    RoleForbidden,
    SignatureInvalid,
)

Record = TypeVar("Record", bound=GovernedRecord)
_GOVERNANCE = frozenset({Role.GOVERNANCE})
_BOTH = frozenset({Role.GOVERNANCE, Role.LEARNER})


class Approval(StrEnum):
    """The experiment's `[gate] approval`: whether a learner's key may sign canary and stable records."""

    AUTO = "auto"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class TrustRule:
    """The records and checkpoints that one reader accepts.

    `feature_contracts` holds the digests of the contracts it can encode; None: all, for a reader that does not load the
    model.
    """

    trusted: TrustedKeys
    experiment: str
    action_space: str
    approval: Approval = Approval.MANUAL
    feature_contracts: frozenset[str] | None = None

    def roles_for(self, slot: str) -> frozenset[Role]:
        """The roles whose signature is valid for a record in this slot.

        Governance may sign everything. The learner may sign freshness records, its account and the `shadow` channel,
        and `canary` and `stable` only if the experiment's approval is automatic.
        """
        kind, _, name = slot.partition(":")
        moved_by_learner = kind == "channel" and (name == Channel.SHADOW or self.approval is Approval.AUTO)
        return _BOTH if kind in ("freshness", ACCOUNT_SLOT) or moved_by_learner else _GOVERNANCE

    def require_role(self, slot: str, key_id: str) -> None:
        """Raises RoleForbidden unless the role of `key_id` may sign for this slot."""
        if role_of(key_id) not in self.roles_for(slot):
            by_itself = ", or approval to 'auto' under [gate] if the learner may promote by itself"
            raise RoleForbidden(
                f"{slot}: key {key_id} with role {role_of(key_id).value} may not sign records for this slot",
                fix=f"set TRIMTAB_SIGNING_KEY to a governance key{by_itself if slot.startswith('channel:') else ''}",
            )

    def require_signer(self, slot: str, key: SigningKey) -> None:
        """Raises RoleForbidden or SignatureInvalid unless readers with this rule would accept `key` for the slot."""
        self.require_role(slot, key.key_id)
        self.trusted.verify(key.key_id, b"probe", key.sign(b"probe"), f"a record for {slot}")


@dataclass(frozen=True, slots=True)
class VerifiedCheckpoint:
    """A checkpoint that may be loaded, with the decision that points to it.

    `signed` and `record` are the stored bytes, which a node keeps on disk and verifies again after a restart.
    `expires_at` (epoch ms) takes a freshness record into account.
    """

    manifest: CheckpointManifest
    channel: ChannelRecord
    expires_at: int
    signed: SignedCheckpoint
    record: SignedRecord


def verify_record(signed: SignedRecord, record_type: type[Record], rule: TrustRule) -> Record:
    """The record, if its signature, role and experiment are valid; its revision is not checked here.

    Raises SignatureInvalid, RoleForbidden, RecordMalformed or ContractMismatch.
    """
    what = f"the {record_type.__name__}"
    rule.trusted.verify(signed.key_id, signed.record, signed.signature, what)
    record = record_type.parse(signed.record)
    rule.require_role(record.slot, signed.key_id)
    if record.experiment != rule.experiment:
        raise _mismatch(record.slot, "experiment", record.experiment, rule.experiment)
    return record


def verify_channel(signed: SignedRecord, channel: Channel, rule: TrustRule) -> ChannelRecord:
    """The verified record, if it is for this channel; revision and expiry are not checked here.

    Raises the errors of verify_record.
    """
    record = verify_record(signed, ChannelRecord, rule)
    if record.channel is not channel:
        raise _mismatch(f"channel:{channel.value}", "channel", record.channel.value, channel.value)
    return record


def verify_checkpoint(signed: SignedCheckpoint, version: str, rule: TrustRule) -> CheckpointManifest:
    """The manifest, if signature, version, experiment, action space, feature contract and blobs are valid.

    Raises SignatureInvalid, RecordMalformed or ContractMismatch.
    """
    what = f"checkpoint {version}"
    rule.trusted.verify(signed.key_id, signed.manifest, signed.signature, what)
    manifest = signed.parsed()
    if manifest.version != version:
        raise _mismatch(what, "version", manifest.version, version)
    if manifest.experiment != rule.experiment:
        raise _mismatch(what, "experiment", manifest.experiment, rule.experiment)
    if manifest.action_space != rule.action_space:
        raise _mismatch(what, "action space", manifest.action_space, rule.action_space)
    if rule.feature_contracts is not None and manifest.feature_contract not in rule.feature_contracts:
        known = ", ".join(sorted(rule.feature_contracts))
        raise _mismatch(what, "feature contract", manifest.feature_contract, known)
    check_blobs(manifest, signed.blobs)
    return manifest


def require_promotable(manifest: CheckpointManifest, channel: Channel) -> None:
    """Raises PromotionRefused unless the gate's verdict allows the channel: `pass` allows all, `refuse` none, any other
    verdict only `shadow`."""
    allowed = manifest.verdict == "pass" or (channel is Channel.SHADOW and manifest.verdict != "refuse")
    if not allowed:
        raise PromotionRefused(
            f"checkpoint {manifest.version} has the verdict {manifest.verdict!r}; channel {channel.value} needs a pass",
            fix=f"see the reasons with `trimtab policy show {manifest.version}`; --override-gate serves it anyway",
        )


def verify_decision(
    store: PolicyStore, channel: Channel, signed: SignedRecord, rule: TrustRule, now_ms: int, memory: ReaderMemory
) -> VerifiedCheckpoint:
    """The decision in `signed`, which lay in the channel's slot, with the checkpoint it points to.

    Raises the errors of verify_channel, verify_checkpoint and ReaderMemory.require_acceptable, RecordExpired when the
    record, even with a freshness record for it, has expired at `now_ms`, UnknownCheckpoint and StoreUnreachable. After
    any of them a node keeps serving what it has. A withdrawal never expires: nothing begins to serve by it.
    """
    record = verify_channel(signed, channel, rule)
    memory.require_acceptable(signed, record, now_ms)
    expires_at = _expiry(store, record, rule, memory, now_ms)
    if expires_at <= now_ms and not record.withdrawn:
        raise RecordExpired(
            f"channel:{channel.value} revision {record.revision} expired at {utc_text(expires_at)}",
            fix="start the learner, which keeps it fresh, or publish it again with `trimtab policy promote`",
        )
    checkpoint = store.get_checkpoint(record.version)
    manifest = verify_checkpoint(checkpoint, record.version, rule)
    return VerifiedCheckpoint(manifest, record, expires_at, checkpoint, signed)


def _expiry(store: PolicyStore, record: ChannelRecord, rule: TrustRule, memory: ReaderMemory, now_ms: int) -> int:
    """The record's own expiry, or a later one from a valid freshness record for exactly this decision."""
    try:
        signed = store.freshness(record.channel.value)
        if signed is None:
            return record.expires_at
        fresh = verify_record(signed, FreshnessRecord, rule)
        memory.require_acceptable(signed, fresh, now_ms)
    except (SignatureInvalid, RecordMalformed, ContractMismatch, RecordFromFuture, RecordVoided, RevisionRegressed):
        return record.expires_at
    named = (fresh.channel, fresh.channel_revision, fresh.version)
    if named != (record.channel, record.revision, record.version):
        return record.expires_at
    return max(record.expires_at, fresh.expires_at)


def _mismatch(what: str, field: str, found: str, expected: str) -> ContractMismatch:
    return ContractMismatch(
        f"{what}: {field} is {found!r}, but this process has {expected!r}",
        fix="give every process the same experiment file, and train a checkpoint for it",
    )
