"""Reads the re-bases of a store, and applies them to a reader's memory in the order of their epochs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from event_schemas.errors import TrimtabError
from policy_store.backends.store import PolicyStore
from policy_store.decisions.verification import TrustRule, verify_record
from policy_store.records.governed_record import SignedRecord
from policy_store.records.rebase_record import REBASE_SLOT, RebaseRecord
from policy_store.records.revision_rules import ReaderMemory


def verified_rebases(records: Sequence[SignedRecord], rule: TrustRule) -> list[RebaseRecord]:
    """The records that are verified re-bases, in order of epoch."""
    return _readable(records, lambda signed: verify_record(signed, RebaseRecord, rule))


def claimed_rebases(records: Sequence[SignedRecord]) -> list[RebaseRecord]:
    """The records that claim to be re-bases, unverified, in order of epoch: enough to limit what nodes claim."""
    return _readable(records, lambda signed: RebaseRecord.parse(signed.record))


def rebases_beyond(records: Sequence[SignedRecord], epoch: int) -> tuple[SignedRecord, ...]:
    """The records that claim to be re-bases of an epoch later than `epoch`, unverified."""
    return tuple(each for each in records if any(rebase.epoch > epoch for rebase in claimed_rebases([each])))


def remembered_rebases(store: PolicyStore, rule: TrustRule) -> ReaderMemory:
    """The memory of a reader that knows only this store's re-bases. Raises StoreUnreachable."""
    memory = ReaderMemory()
    for rebase in verified_rebases(store.known_records(REBASE_SLOT), rule):
        memory.apply(rebase)
    return memory


def _readable(records: Sequence[SignedRecord], read: Callable[[SignedRecord], RebaseRecord]) -> list[RebaseRecord]:
    rebases = []
    for signed in records:
        try:
            rebases.append(read(signed))
        except TrimtabError:
            continue
    return sorted(rebases, key=lambda each: each.epoch)
