"""A walk over everything in a store: what `trimtab policy verify` reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from event_schemas.errors import ComponentUnreachable, TrimtabError
from policy_store.audit import verify_chain
from policy_store.channel_record import Channel, channel_slot, freshness_slot
from policy_store.control_record import CONTROL_SLOT
from policy_store.governed_record import SignedRecord
from policy_store.preference_record import PREFERENCE_SLOT
from policy_store.store import PolicyStore
from policy_store.store_change import parse_record
from policy_store.store_errors import RecordMalformed, RevisionRegressed, SignatureInvalid
from policy_store.verification import TrustRule, verify_checkpoint, verify_record

SLOTS = (
    *(channel_slot(channel) for channel in Channel),
    *(freshness_slot(channel) for channel in Channel),
    PREFERENCE_SLOT,
    CONTROL_SLOT,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked; `problem` is None when it holds."""

    subject: str
    problem: str | None


def inspect_store(store: PolicyStore, rule: TrustRule) -> list[Finding]:
    """Check every checkpoint, every slot with its history, and the audit's chain. Expiry is not judged.

    Raises StoreUnreachable; everything else that is wrong becomes a finding.
    """
    return [
        _finding("audit", lambda: verify_chain(store.audit_entries())),
        *_checkpoints(store, rule),
        *(_finding(slot, partial(_check_slot, store, slot, rule)) for slot in SLOTS),
    ]


def require_slot(slot: str) -> str:
    """The slot's name, when there is such a slot. Raises RecordMalformed."""
    if slot not in SLOTS:
        raise RecordMalformed(f"there is no slot {slot!r}", mend=f"use one of {', '.join(SLOTS)}")
    return slot


def _checkpoints(store: PolicyStore, rule: TrustRule) -> Iterator[Finding]:
    listing = _finding("list of checkpoints", store.list_checkpoints)
    if listing.problem is not None:
        yield listing
        return
    for manifest in store.list_checkpoints():
        version = manifest.version
        yield _finding(f"checkpoint {version}", partial(_check_checkpoint, store, version, rule))


def _check_checkpoint(store: PolicyStore, version: str, rule: TrustRule) -> None:
    verify_checkpoint(store.get_checkpoint(version), version, rule)


def _check_slot(store: PolicyStore, slot: str, rule: TrustRule) -> None:
    """Every record of the slot is true, revisions fall towards the past, and the newest is the one in force."""
    history = store.history(slot)
    in_force = _in_force(store, slot)
    if in_force != (history[0] if history else None):
        raise SignatureInvalid(
            f"{slot} is not the newest record of its history", mend="the slot was written around the store's scripts"
        )
    newer: int | None = None
    for signed in history:
        record = verify_record(signed, type(parse_record(signed)), rule)
        if record.slot != slot:
            raise SignatureInvalid(f"{slot} holds a record of {record.slot}", mend="publish a new record")
        if newer is not None and record.revision >= newer:
            raise RevisionRegressed(f"{slot}: the history's revisions do not rise", mend="publish a new record")
        newer = record.revision


def _in_force(store: PolicyStore, slot: str) -> SignedRecord | None:
    kind, _, name = slot.partition(":")
    if kind == "channel":
        return store.channel(name)
    if kind == "freshness":
        return store.freshness(name)
    return store.preference() if slot == PREFERENCE_SLOT else store.control()


def _finding(subject: str, check: Callable[[], object]) -> Finding:
    try:
        check()
    except ComponentUnreachable:
        raise
    except TrimtabError as error:
        return Finding(subject, error.what)
    return Finding(subject, None)
