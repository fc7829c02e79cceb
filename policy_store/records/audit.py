"""The audit: who did what, in a chain where each entry contains the hash of the one before.

hash(entry) = SHA-256 over the entry's canonical JSON, which contains `previous`. Changing, removing or inserting an
entry breaks the chain from there on. Removing the last entries does not: compare the last hash with one kept elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from event_schemas.number_bounds import EXACT_INTEGERS
from policy_store.records.canonical_json import canonical_json, parse_object
from policy_store.records.store_errors import AuditBroken, RecordMalformed

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """The canonical bytes of one entry and their SHA-256 (lower-case hex)."""

    entry: bytes
    hash: str

    @property
    def content(self) -> dict[str, Any]:
        """at (epoch ms), actor, action, detail, sequence (from 1), previous (hash). Raises RecordMalformed."""
        return parse_object(self.entry, "an audit entry")


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """An event that has no place in the chain yet."""

    at_ms: int
    actor: str
    action: str
    detail: Mapping[str, Any]


def chain(event: AuditEvent, previous: AuditEntry | None) -> AuditEntry:
    """The entry that follows `previous` (None: the first). Raises RecordMalformed for `detail` that is not JSON.

    A `previous` that is not a valid entry does not stop the chain, as otherwise anybody able to append garbage could
    keep people from publishing a kill. `verify_chain` reports it.
    """
    payload = canonical_json(
        {
            "at": event.at_ms,
            "actor": event.actor,
            "action": event.action,
            "detail": dict(event.detail),
            "sequence": 1 if previous is None else _sequence(previous) + 1,
            "previous": GENESIS if previous is None else previous.hash,
        }
    )
    return AuditEntry(payload, hashlib.sha256(payload).hexdigest())


def verify_chain(entries: Sequence[AuditEntry]) -> str:
    """The last hash of a complete chain; GENESIS when it is empty.

    Raises an AuditBroken that names the first wrong entry.
    """
    previous = GENESIS
    for sequence, entry in enumerate(entries, start=1):
        try:
            content = entry.content
        except RecordMalformed:
            raise _broken(sequence, "it is not a JSON object") from None
        if hashlib.sha256(entry.entry).hexdigest() != entry.hash:
            raise _broken(sequence, "its content was changed")
        if content.get("previous") != previous or content.get("sequence") != sequence:
            raise _broken(sequence, "it does not follow the entry before it")
        previous = entry.hash
    return previous


def _sequence(entry: AuditEntry) -> int:
    """The entry's number; 0 for one that has none."""
    try:
        number = entry.content.get("sequence")
    except RecordMalformed:
        return 0
    return number if isinstance(number, int) and 0 <= number < EXACT_INTEGERS else 0


def _broken(sequence: int, why: str) -> AuditBroken:
    return AuditBroken(
        f"audit entry {sequence}: {why}",
        fix="assume tampering: compare the store with a backup, and rotate the credentials that may write to it",
    )
