"""Kills and resumes: who knows which kill, and how people stop the fleet and let it run again.

A kill is published whatever the store contains and whatever any clock says; records that cannot be read are ignored. A
resume lifts exactly the kills it names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from event_schemas.errors import TrimtabError
from policy_store.backends.store import PolicyStore
from policy_store.backends.store_change import parse_record, revisions_of
from policy_store.decisions.control_reading import ControlReader
from policy_store.decisions.node_claims import NodeClaims, node_claims
from policy_store.decisions.record_places import Decider
from policy_store.decisions.verification import TrustRule
from policy_store.records.control_record import CONTROL_SLOT, ControlRecord
from policy_store.records.governed_record import GovernedRecord, said
from policy_store.records.revision_rules import VerifiedControl, control_revision, kill_revisions, unlike_lifted
from policy_store.records.store_errors import RecordMalformed, StoreRefused, StoreUnreachable, UnknownKill

Answer = TypeVar("Answer")
THE_STORE = "the store"
UNSIGNED = "not signed by a key trusted here"
WITHOUT_A_STORE = "stop each node now with its kill file, or restart it with --killed"


@dataclass(frozen=True, slots=True)
class OpenKill:
    """A kill that holds in the store or for a node.

    record     None when no key trusted here has signed it, whether it is in the store or in a node's report
    known_to   who knows it: `the store`, `node <id>`, …
    """

    hash: str
    record: ControlRecord | None
    known_to: tuple[str, ...]

    @property
    def source(self) -> str:
        """Who killed and why, as text for people."""
        return UNSIGNED if self.record is None else said(self.record.by, self.record.reason)

    def describe(self) -> str:
        """The kill as text for people: the hash, who killed and why, and who knows it."""
        return f"{self.hash} {self.source} (known to {', '.join(self.known_to) or 'nobody'})"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        fields = {"hash": self.hash, "known_to": list(self.known_to)}
        if self.record is None:
            return fields
        return fields | {"by": self.record.by, "reason": self.record.reason, "revision": self.record.revision}


@dataclass(frozen=True, slots=True)
class KillState:
    """The kills that hold in the store or for a live node, and the faults of records that could not be verified.

    `lifted` holds the hashes of kills that a resume in the store lifts.
    """

    open_kills: tuple[OpenKill, ...] = ()
    lifted: frozenset[str] = frozenset()
    faults: tuple[str, ...] = ()

    @property
    def killed(self) -> bool | None:
        """Whether a kill holds; None when no verified kill holds, but there are records that cannot be verified."""
        if any(each.record is not None for each in self.open_kills):
            return True
        return None if self.faults or self.open_kills else False


def kill_state(store: PolicyStore, rule: TrustRule) -> KillState:
    """What the store and the live nodes know. Raises StoreUnreachable."""
    reader = ControlReader(rule)
    faults = reader.read(store)
    found = _Found({each.hash: each for each in reader.latch.open_kills}, rule)
    for name in (*(each.hash for each in reader.latch.open_kills), *reader.doubtful):
        found.known_to(name, THE_STORE)
    try:
        nodes = store.nodes()
    except StoreRefused as fault:
        nodes, faults = [], (*faults, fault.what)
    for claims in node_claims(nodes):
        found.take(claims)
    # A node that still reports a kill lifted in the store has not read the store since.
    open_kills = tuple(each for each in found.open_kills() if each.hash not in reader.latch.lifted)
    return KillState(open_kills, reader.latch.lifted, faults)


def kill(store: PolicyStore, decider: Decider) -> ControlRecord:
    """Stops the policy and exploration on all nodes until a resume names this kill.

    Raises StoreUnreachable, or StoreRefused when Redis refuses all writes; both say how to stop nodes without it.
    """
    record = _record(store, decider, {"killed": True})
    record = record.model_copy(update=kill_revisions(record.revision))
    named = _named_in_slot(store)
    fresh = unlike_lifted(record, lambda each: each in named or _unless_faulty(lambda: store.is_resumed(each), False))
    try:
        store.publish_control(fresh.signed_by(decider.key))
    except (StoreRefused, StoreUnreachable) as fault:
        raise type(fault)(fault.what, fix=f"{WITHOUT_A_STORE}; then {fault.fix}") from fault
    return fresh


def resume(store: PolicyStore, lifts: Sequence[str], decider: Decider) -> ControlRecord:
    """Lifts the kills with these hashes. Raises RecordMalformed when there is none, or one is not a hash."""
    if not lifts:
        raise RecordMalformed("a resume must name at least one kill", fix="list them with `trimtab policy status`")
    record = _record(store, decider, {"killed": False, "resumes": list(lifts)})
    store.publish_control(record.signed_by(decider.key))
    return record


def kills_to_lift(state: KillState, named: Sequence[str]) -> list[OpenKill]:
    """The kills that a resume should lift: those named, or, if none is named, all verified open kills.

    Raises UnknownKill for a hash that neither the store nor a node knows.
    """
    if not named:
        return [each for each in state.open_kills if each.record is not None]
    known = {each.hash: each for each in state.open_kills}
    for each in named:
        if each not in known and each not in state.lifted:
            raise UnknownKill(
                f"no kill {each} is open in the store or on a live node",
                fix="copy the whole hash from `trimtab policy status`",
            )
    return [known.get(each, OpenKill(each, None, ())) for each in dict.fromkeys(named)]


@dataclass
class _Found:
    """The kills found in the store and in the nodes' reports, by hash."""

    verified: dict[str, VerifiedControl]
    rule: TrustRule
    known: dict[str, list[str]] = field(default_factory=dict)

    def known_to(self, name: str, source: str) -> None:
        self.known.setdefault(name, []).append(source)

    def take(self, claims: NodeClaims) -> None:
        """Adds the kills that one node reports, verified like those of the store."""
        reader = ControlReader(self.rule)
        for name, signed in claims.open_kills.items():
            self.known_to(name, claims.source)
            # Without a trusted signature only the hash is kept: the node may trust a key that this process does not.
            with suppress(TrimtabError):
                reader.recall(() if signed is None else (signed,), {})
        self.verified |= {each.hash: each for each in reader.latch.open_kills}

    def open_kills(self) -> tuple[OpenKill, ...]:
        return tuple(
            OpenKill(name, self.verified[name].record if name in self.verified else None, tuple(sources))
            for name, sources in self.known.items()
        )


def _record(store: PolicyStore, decider: Decider, content: dict[str, Any]) -> ControlRecord:
    known = revisions_of(_unless_faulty(lambda: store.known_records(CONTROL_SLOT), []))
    time_ms = _unless_faulty(store.time_ms, decider.now_ms)
    held = _in_slot(store)
    provenance = {"experiment": store.experiment, "by": decider.by, "reason": decider.reason}
    revisions = {
        "revision": control_revision(known, time_ms),
        "parent_revision": None if held is None else held.revision,
    }
    return ControlRecord.from_content(content | provenance | revisions)


def _in_slot(store: PolicyStore) -> GovernedRecord | None:
    signed = _unless_faulty(store.control, None)
    return None if signed is None else _unless_faulty(lambda: parse_record(signed), None)


def _named_in_slot(store: PolicyStore) -> tuple[str, ...]:
    held = _in_slot(store)
    return held.resumes if isinstance(held, ControlRecord) else ()


def _unless_faulty(read: Callable[[], Answer], otherwise: Answer) -> Answer:
    """The result of `read`, or `otherwise` if it fails: no fault of the store may stop a kill.

    If the store does not answer at all, publishing fails later.
    """
    try:
        return read()
    except TrimtabError:
        return otherwise
