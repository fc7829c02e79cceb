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
    """Those of some signed records that are re-bases and hold, by rising epoch."""
    return _readable(records, lambda signed: verify_record(signed, RebaseRecord, rule))


def claimed_rebases(records: Sequence[SignedRecord]) -> list[RebaseRecord]:
    """Those that are re-bases by their own word, by rising epoch: enough to bound what nodes claim."""
    return _readable(records, lambda signed: RebaseRecord.parse(signed.record))


def rebases_beyond(records: Sequence[SignedRecord], epoch: int) -> tuple[SignedRecord, ...]:
    """Those that by their own word are re-bases of a later epoch."""
    return tuple(each for each in records if any(rebase.epoch > epoch for rebase in claimed_rebases([each])))


def remembered_rebases(store: PolicyStore, rule: TrustRule) -> ReaderMemory:
    """What a reader without a memory of its own knows of this store's re-bases. Raises StoreUnreachable."""
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
