"""Checks everything in a store, for `trimtab policy verify`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha1

from event_schemas.errors import ComponentUnreachable, TrimtabError
from event_schemas.instant import wall_clock_ms
from policy_store.backends.store import PolicyStore
from policy_store.backends.store_change import parse_record
from policy_store.decisions.experiment_reading import read_ledger_verified
from policy_store.decisions.rebase_reading import remembered_rebases
from policy_store.decisions.verification import TrustRule, verify_checkpoint, verify_record
from policy_store.records.account_record import ACCOUNT_SLOT
from policy_store.records.audit import verify_chain
from policy_store.records.control_record import CONTROL_SLOT, ControlRecord, ControlRecords
from policy_store.records.experiment_record import EXPERIMENTS_SLOT
from policy_store.records.governed_record import GovernedRecord, SignedRecord
from policy_store.records.preference_record import PREFERENCE_SLOT
from policy_store.records.rebase_record import ORDERED_SLOTS, REBASE_SLOT, RebaseRecord
from policy_store.records.revision_rules import ReaderMemory, require_publishable
from policy_store.records.store_errors import RecordMalformed, RevisionRegressed, SignatureInvalid, StoreRefused

KILLS, RESUMES, CHAIN = "kills", "resumes", "chain of the ledger"
SLOTS = (*ORDERED_SLOTS, CONTROL_SLOT, REBASE_SLOT)


@dataclass(frozen=True, slots=True)
class Finding:
    """One check; `problem` is None when it passed."""

    subject: str
    problem: str | None


def inspect_store(store: PolicyStore, rule: TrustRule) -> list[Finding]:
    """Checks every checkpoint, every slot with its history, kills, resumes, re-bases, and the audit's chain.

    Expiry is not checked. Raises StoreUnreachable; every other fault becomes a finding.
    """
    memory, time_ms = remembered_rebases(store, rule), _time_ms(store)
    return [
        _finding("audit", lambda: verify_chain(store.audit_entries())),
        *_checkpoints(store, rule),
        *(_finding(slot, partial(_check_slot, store, slot, rule, memory, time_ms)) for slot in ORDERED_SLOTS),
        _finding(CHAIN, partial(read_ledger_verified, store, rule)),
        *_control(store, rule),
        _finding(REBASE_SLOT, partial(_check_rebases, store, rule)),
    ]


def require_slot(slot: str) -> str:
    """The slot's name, if there is such a slot. Raises RecordMalformed."""
    if slot not in SLOTS:
        raise RecordMalformed(f"there is no slot {slot!r}", fix=f"use one of {', '.join(SLOTS)}")
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


def _check_slot(store: PolicyStore, slot: str, rule: TrustRule, memory: ReaderMemory, time_ms: int) -> None:
    """Checks that every record verifies, is not voided and not far ahead, that revisions rise, and the newest is in
    force."""
    newer: int | None = None
    for signed in _placed(store, slot):
        record = _true(signed, slot, rule)
        memory.require_acceptable(signed, record)
        require_publishable(slot, record.revision, time_ms, "its history")
        if newer is not None and record.revision >= newer:
            raise RevisionRegressed(f"{slot}: revisions in the history do not increase", fix="publish a new record")
        newer = record.revision


def _check_rebases(store: PolicyStore, rule: TrustRule) -> None:
    """Checks that every re-base verifies, that epochs rise, and that the newest is in force."""
    newer: int | None = None
    for signed in _placed(store, REBASE_SLOT):
        record = _true(signed, REBASE_SLOT, rule)
        assert isinstance(record, RebaseRecord)
        if newer is not None and record.epoch >= newer:
            raise RevisionRegressed("rebase: epochs in the history do not increase", fix="run `trimtab policy rebase`")
        newer = record.epoch


def _control(store: PolicyStore, rule: TrustRule) -> Iterator[Finding]:
    """Checks that each kill and resume verifies; they are a set, so their revisions and order do not matter."""
    found = store.control_records()
    yield _finding(CONTROL_SLOT, partial(_check_control, store, rule, found))
    for subject, records, killed in ((KILLS, found.kills, True), (RESUMES, found.resumes, False)):
        yield _finding(subject, partial(_check_set, subject, records, killed, rule))


def _check_control(store: PolicyStore, rule: TrustRule, found: ControlRecords) -> None:
    for fault in found.faults:
        raise RecordMalformed(fault, fix="inspect it with redis-cli, then delete it")
    for signed in (*([] if found.slot is None else [found.slot]), *store.history(CONTROL_SLOT)):
        _true(signed, CONTROL_SLOT, rule)


def _check_set(subject: str, records: Mapping[str, SignedRecord], killed: bool, rule: TrustRule) -> None:
    for name, signed in records.items():
        record = verify_record(signed, ControlRecord, rule)
        names = record.resumes if not killed else (signed.hash, f"slot:{sha1(signed.record).hexdigest()}")
        if record.killed is not killed or name not in names:
            raise SignatureInvalid(
                f"{subject}: field {name} holds another record",
                fix="it was not written by the store's scripts: find out who wrote it, then delete the field",
            )


def _placed(store: PolicyStore, slot: str) -> list[SignedRecord]:
    """The history of a slot. Raises SignatureInvalid unless its newest record is the one in the slot."""
    history = store.history(slot)
    if _in_force(store, slot) != (history[0] if history else None):
        raise SignatureInvalid(
            f"the record in {slot} is not the newest of its history",
            fix="the slot was not written by the store's scripts: find out who wrote it, then publish a new record",
        )
    return history


def _true(signed: SignedRecord, slot: str, rule: TrustRule) -> GovernedRecord:
    """The verified record, if it belongs to the slot."""
    record = verify_record(signed, type(parse_record(signed)), rule)
    if record.slot != slot:
        raise SignatureInvalid(f"{slot} holds a record of {record.slot}", fix="publish a new record")
    return record


def _in_force(store: PolicyStore, slot: str) -> SignedRecord | None:
    kind, _, name = slot.partition(":")
    if kind == "channel":
        return store.channel(name)
    if kind == "freshness":
        return store.freshness(name)
    readers = {
        PREFERENCE_SLOT: store.preference,
        EXPERIMENTS_SLOT: store.experiments,
        ACCOUNT_SLOT: store.account,
        REBASE_SLOT: store.rebase,
    }
    if slot in readers:
        return readers[slot]()
    return next(iter(store.known_records(slot)), None)


def _time_ms(store: PolicyStore) -> int:
    """The store's time; this machine's time if the Redis user may not ask for it."""
    try:
        return store.time_ms()
    except StoreRefused:
        return wall_clock_ms()


def _finding(subject: str, check: Callable[[], object]) -> Finding:
    try:
        check()
    except ComponentUnreachable:
        raise
    except TrimtabError as error:
        return Finding(subject, error.what)
    return Finding(subject, None)
