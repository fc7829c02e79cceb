"""Reads what a channel points to and the approved preference, verified, and not what a re-base voids."""

from __future__ import annotations

from policy_store.backends.store import PolicyStore
from policy_store.decisions.rebase_reading import remembered_rebases
from policy_store.decisions.verification import TrustRule, VerifiedCheckpoint, verify_decision, verify_record
from policy_store.records.channel_record import Channel, channel_slot
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
    signed = store.preference()
    if signed is None:
        memory.require_never_seen(PREFERENCE_SLOT)
        return None
    record = verify_record(signed, PreferenceRecord, rule)
    memory.require_acceptable(signed, record, now_ms)
    return record
