"""Reads what a channel points to and the approved preference, verified, and not what a re-base voids."""

from __future__ import annotations

from policy_store.backends.store import PolicyStore
from policy_store.decisions.rebase_reading import remembered_rebases
from policy_store.decisions.verification import Record, TrustRule, VerifiedCheckpoint, verify_decision, verify_record
from policy_store.records.channel_record import Channel, channel_slot
from policy_store.records.governed_record import SignedRecord
from policy_store.records.preference_record import PREFERENCE_SLOT, PreferenceRecord
from policy_store.records.revision_rules import ReaderMemory


def read_channel_verified(
    store: PolicyStore, channel: Channel, rule: TrustRule, *, now_ms: int, memory: ReaderMemory | None = None
) -> VerifiedCheckpoint | None:
    """The checkpoint that the channel points to, fully verified; None when nothing was ever published there.

    Raises the errors of verify_decision. `memory` is what the reader remembers, the store's re-bases if left out; if it
    remembers the channel but the record is gone, RevisionRegressed is raised.
    """
    memory = remembered_rebases(store, rule) if memory is None else memory
    signed = store.channel(channel.value)
    if signed is None:
        memory.require_never_seen(channel_slot(channel))
        return None
    return verify_decision(store, channel, signed, rule, now_ms, memory)


def read_preference_verified(
    store: PolicyStore, rule: TrustRule, *, now_ms: int | None = None, memory: ReaderMemory | None = None
) -> PreferenceRecord | None:
    """The approved preference; None when people never set one.

    Raises the errors of verify_record and ReaderMemory.require_acceptable; without `now_ms` a record from the future is
    not refused. Without `memory` the reader remembers the store's re-bases: what they void is refused.
    """
    memory = remembered_rebases(store, rule) if memory is None else memory
    return acceptable_record(store.preference(), PREFERENCE_SLOT, PreferenceRecord, rule, memory, now_ms=now_ms)


def acceptable_record(
    signed: SignedRecord | None,
    slot: str,
    kind: type[Record],
    rule: TrustRule,
    memory: ReaderMemory,
    *,
    now_ms: int | None,
) -> Record | None:
    """What lies in the slot, verified and held against what the reader remembers; None if nothing ever did.

    Raises the errors of verify_record, ReaderMemory.require_acceptable and ReaderMemory.require_never_seen.
    """
    if signed is None:
        memory.require_never_seen(slot)
        return None
    record = verify_record(signed, kind, rule)
    memory.require_acceptable(signed, record, now_ms)
    return record
