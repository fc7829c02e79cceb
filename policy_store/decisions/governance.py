"""Writes decisions to the store: each function reads the slot, signs a record over its revision, and publishes it.

The caller passes the store, the signing key and the time of the decider's own clock. All functions raise the errors of
PolicyStore's methods; after any error nothing has changed. A RevisionConflict means that somebody else decided in
between: read again, and decide again. Revisions and expiry follow the store's time
(`policy_store.records.revision_rules`). Kills and resumes are in `policy_store.decisions.kill_decisions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from event_schemas.errors import TrimtabError
from policy_store.backends.store import PolicyStore
from policy_store.backends.store_change import unknown_proposal
from policy_store.decisions.record_places import Decider, Statement, next_place, provenance, revision_of
from policy_store.decisions.verification import TrustRule, verify_channel, verify_record
from policy_store.records.channel_record import Channel, ChannelRecord, FreshnessRecord, channel_slot, freshness_slot
from policy_store.records.checkpoint_record import CheckpointManifest, SignedCheckpoint, sign_checkpoint
from policy_store.records.governed_record import SignedRecord
from policy_store.records.preference_proposal import PreferenceProposal, ProposalStatus
from policy_store.records.preference_record import PREFERENCE_SLOT, PreferenceRecord, PreferenceTarget, changed_targets
from policy_store.records.signing import SigningKey
from policy_store.records.store_errors import PromotionRefused, RecordMalformed, RevisionConflict, UnknownCheckpoint


def publish_checkpoint(
    store: PolicyStore,
    manifest: CheckpointManifest,
    blobs: Mapping[str, bytes],
    key: SigningKey,
    *,
    fencing_token: int | None = None,
) -> SignedCheckpoint:
    """Signs a checkpoint and puts it into the store; no channel points to it yet."""
    checkpoint = sign_checkpoint(manifest, blobs, key)
    store.put_checkpoint(checkpoint, fencing_token=fencing_token)
    return checkpoint


def point_channel(
    store: PolicyStore,
    channel: Channel,
    version: str,
    decider: Decider,
    *,
    ttl_ms: int,
    fencing_token: int | None = None,
) -> ChannelRecord:
    """Points a channel to a checkpoint, which nodes may accept until `ttl_ms` from now. Raises UnknownCheckpoint."""
    decision = {"channel": channel.value, "version": version}
    return _decide_channel(store, channel, decision, decider, ttl_ms, fencing_token)


def withdraw_canary(
    store: PolicyStore, decider: Decider, *, ttl_ms: int, fencing_token: int | None = None
) -> ChannelRecord:
    """Ends the canary: its users are served like all others. Raises UnknownCheckpoint if there is none."""
    held = current_channel(store, Channel.CANARY)
    if held.withdrawn:
        raise nothing_published(Channel.CANARY)
    decision = {"channel": Channel.CANARY.value, "version": held.version, "withdrawn": True}
    return _decide_channel(store, Channel.CANARY, decision, decider, ttl_ms, fencing_token)


def keep_fresh(
    store: PolicyStore, channel: Channel, decider: Decider, *, ttl_ms: int, fencing_token: int | None = None
) -> FreshnessRecord:
    """Extends the expiry of the channel's record without a new decision. Raises UnknownCheckpoint."""
    record = current_channel(store, channel)
    parent, place = revision_of(store.freshness(channel.value)), next_place(store, freshness_slot(channel), decider)
    decision = {"channel": channel.value, "version": record.version, "channel_revision": record.revision}
    decision["expires_at"] = place.time_ms + ttl_ms
    fresh = FreshnessRecord.from_content(decision | provenance(store, parent, place, decider))
    store.publish_channel(fresh.signed_by(decider.key), parent_revision=parent, fencing_token=fencing_token)
    return fresh


def rollback_version(store: PolicyStore, channel: Channel) -> str:
    """The version that the channel pointed to before the current one was first chosen.

    Pointing back to an earlier version counts as undoing the versions after it: after A, B, C and back to B, the next
    rollback leads to A, not to C. Raises UnknownCheckpoint when there is no earlier version.
    """
    trail: list[str] = []
    for signed in reversed(store.history(channel_slot(channel))):
        version = ChannelRecord.parse(signed.record).version
        trail = [*trail[: trail.index(version)], version] if version in trail else [*trail, version]
    if len(trail) < 2:
        raise UnknownCheckpoint(
            f"channel:{channel.value} has no earlier version to roll back to",
            fix="give a version with --to, or stop the policy with `trimtab policy kill`",
        )
    return trail[-2]


def require_served_before(store: PolicyStore, channel: Channel, version: str, rule: TrustRule) -> None:
    """Raises PromotionRefused unless a record in the channel's history that `rule` verifies points to the version."""
    for signed in store.history(channel_slot(channel)):
        try:
            if verify_channel(signed, channel, rule).version == version:
                return
        except TrimtabError:
            # An unverifiable record proves nothing.
            continue
    raise PromotionRefused(
        f"channel:{channel.value} cannot roll back to {version}: it has never pointed to {version}",
        fix=f"use `trimtab policy promote {version} --to {channel.value}`, which checks the gate's verdict",
    )


def propose_preference(
    store: PolicyStore, proposal_id: str, cohort: str | None, target: PreferenceTarget, statement: Statement
) -> PreferenceProposal:
    """Proposes `target` for a cohort, or, if it is None, for everybody else. Nothing changes before the approval."""
    proposal = PreferenceProposal(
        proposal_id=proposal_id,
        experiment=store.experiment,
        cohort=cohort,
        target=target,
        by=statement.by,
        reason=statement.reason,
        created_at=statement.now_ms,
        base_revision=revision_of(store.preference()),
    )
    store.propose(proposal)
    return proposal


def approve_proposal(
    store: PolicyStore, proposal_id: str, initial: PreferenceTarget | None, decider: Decider, rule: TrustRule
) -> PreferenceRecord:
    """Signs and publishes a proposal; `initial` is the default target while nobody has set one.

    The proposal changes the newest preference, which must verify: nothing is signed on top of a forged one. Records of
    another kind in the slot do not count. Raises the errors of verify_record, ContractMismatch when the proposal is for
    one cohort and there is no default target at all, UnknownProposal when it is not open, and RevisionConflict when the
    preference has changed since the proposal was made: people did not weigh the change that it would now make.
    """
    proposal = find_open_proposal(store, proposal_id)
    current = store.preference()
    if revision_of(current) != proposal.base_revision:
        raise RevisionConflict(
            f"proposal {proposal_id} was made over preference revision {proposal.base_revision}; it is now at "
            f"{revision_of(current)}",
            fix="reject it and propose again over the current preference",
        )
    held = _newest_preference(store, current, rule)
    default, cohorts = (initial, {}) if held is None else (held.default, held.cohorts)
    default, cohorts = changed_targets(default, cohorts, proposal.cohort, proposal.target)
    record = _preference(store, default, cohorts, decider)
    decided = proposal.decided(ProposalStatus.APPROVED, decider.by, decider.reason, decider.now_ms)
    store.approve(decided, record.signed_by(decider.key), parent_revision=record.parent_revision)
    return record


def reject_proposal(store: PolicyStore, proposal_id: str, statement: Statement) -> PreferenceProposal:
    """Closes a proposal without a change. Raises UnknownProposal when it is not open."""
    proposal = find_open_proposal(store, proposal_id)
    decided = proposal.decided(ProposalStatus.REJECTED, statement.by, statement.reason, statement.now_ms)
    store.reject(decided)
    return decided


def find_open_proposal(store: PolicyStore, proposal_id: str) -> PreferenceProposal:
    """The open proposal with this id. Raises UnknownProposal."""
    opened = {each.proposal_id: each for each in store.proposals() if each.status is ProposalStatus.OPEN}
    if proposal_id not in opened:
        raise unknown_proposal(proposal_id, [*opened])
    return opened[proposal_id]


def current_channel(store: PolicyStore, channel: Channel) -> ChannelRecord:
    """The channel's record, unverified. Raises UnknownCheckpoint when nothing was published there."""
    signed = store.channel(channel.value)
    if signed is None:
        raise nothing_published(channel)
    return ChannelRecord.parse(signed.record)


def nothing_published(channel: Channel) -> UnknownCheckpoint:
    """The error for a channel that has no record."""
    return UnknownCheckpoint(
        f"channel:{channel.value} points to nothing yet",
        fix=f"publish there with `trimtab learn` or `trimtab policy promote VERSION --to {channel.value}`",
    )


def _decide_channel(
    store: PolicyStore,
    channel: Channel,
    decision: Mapping[str, Any],
    decider: Decider,
    ttl_ms: int,
    fencing_token: int | None,
) -> ChannelRecord:
    parent, place = revision_of(store.channel(channel.value)), next_place(store, channel_slot(channel), decider)
    content = {**decision, "expires_at": place.time_ms + ttl_ms} | provenance(store, parent, place, decider)
    record = ChannelRecord.from_content(content)
    store.publish_channel(record.signed_by(decider.key), parent_revision=parent, fencing_token=fencing_token)
    return record


def _newest_preference(store: PolicyStore, current: SignedRecord | None, rule: TrustRule) -> PreferenceRecord | None:
    """The newest record in the slot or its history that is a preference at all, verified."""
    for signed in () if current is None else (current, *store.history(PREFERENCE_SLOT)):
        try:
            PreferenceRecord.parse(signed.record)
        except RecordMalformed:
            continue
        return verify_record(signed, PreferenceRecord, rule)
    return None


def _preference(
    store: PolicyStore, default: PreferenceTarget, cohorts: Mapping[str, PreferenceTarget], decider: Decider
) -> PreferenceRecord:
    parent, place = revision_of(store.preference()), next_place(store, PREFERENCE_SLOT, decider)
    targets = {"default": default.model_dump(), "cohorts": {name: each.model_dump() for name, each in cohorts.items()}}
    return PreferenceRecord.from_content(targets | provenance(store, parent, place, decider))
