"""A policy store in this process's memory, for tests, simulations and experiments. Nothing is persisted."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from event_schemas.instant import wall_clock_ms
from event_schemas.process_fork import renew_in_children
from policy_store.backends.key_names import KeyNames
from policy_store.backends.record_slots import RecordSlots
from policy_store.backends.store import (
    HEARTBEAT_LIMIT_MS,
    HISTORY_LIMIT,
    MAX_BLOCK_MS,
    UPDATES_LIMIT,
    Clock,
    Lease,
    NodeStatus,
    StoreUpdate,
)
from policy_store.backends.store_change import (
    RecordChange,
    checkpoint_audited,
    checkpoint_change,
    lease_held,
    lease_lost,
    parse_record,
    proposal_audited,
    proposal_conflict,
    revision_conflict,
    slot_moved,
    unknown_checkpoint,
    unknown_proposal,
    version_conflict,
)
from policy_store.records.audit import AuditEntry, AuditEvent, chain
from policy_store.records.canonical_json import canonical_json, parse_object
from policy_store.records.checkpoint_record import CheckpointManifest, SignedCheckpoint
from policy_store.records.control_record import CONTROL_SLOT, ControlRecord, ControlRecords
from policy_store.records.governed_record import SignedRecord
from policy_store.records.ledger_record import LEDGER_SLOT
from policy_store.records.preference_proposal import PreferenceProposal, ProposalStatus
from policy_store.records.preference_record import PreferenceRecord
from policy_store.records.rebase_record import SlotRemoval
from policy_store.records.revision_rules import next_token
from policy_store.records.store_errors import RecordMalformed


class _HeldLease(NamedTuple):
    owner: str
    token: int
    ends_at: int
    ttl_ms: int


@dataclass
class _Contents:
    checkpoints: dict[str, SignedCheckpoint] = field(default_factory=dict)
    slots: dict[str, SignedRecord] = field(default_factory=dict)
    histories: dict[str, list[SignedRecord]] = field(default_factory=dict)
    kills: dict[str, SignedRecord] = field(default_factory=dict)
    resumes: dict[str, SignedRecord] = field(default_factory=dict)
    proposals: dict[str, PreferenceProposal] = field(default_factory=dict)
    audit: list[AuditEntry] = field(default_factory=list)
    updates: list[StoreUpdate] = field(default_factory=list)
    nodes: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    lease: _HeldLease | None = None
    fence: int = 0
    update_count: int = 0


class MemoryStore(RecordSlots):
    """PolicyStore in memory; `clock` is the store's time and decides when leases and heartbeats expire."""

    def __init__(self, experiment: str, *, clock: Clock = wall_clock_ms) -> None:
        self._experiment = KeyNames(experiment).experiment
        self.clock = clock
        self._contents = _Contents()
        self.after_fork()
        renew_in_children(self)

    def after_fork(self) -> None:
        """Renews the lock; a child continues with a copy of the contents."""
        self._changed = threading.Condition(threading.RLock())

    @property
    def experiment(self) -> str:
        """See PolicyStore."""
        return self._experiment

    def time_ms(self) -> int:
        """See PolicyStore."""
        return self.clock()

    def put_checkpoint(self, checkpoint: SignedCheckpoint, *, fencing_token: int | None = None) -> None:
        """See PolicyStore."""
        manifest = checkpoint_change(self._experiment, checkpoint)
        with self._changed:
            self._require_lease(fencing_token)
            held = self._contents.checkpoints.get(manifest.version)
            if held is not None:
                if held != checkpoint:
                    raise version_conflict(manifest.version)
                return
            self._contents.checkpoints[manifest.version] = checkpoint
            self._audit(checkpoint_audited(checkpoint, manifest, self.clock()))
            self._notify("checkpoint", manifest.version)

    def get_checkpoint(self, version: str) -> SignedCheckpoint:
        """See PolicyStore."""
        with self._changed:
            if version not in self._contents.checkpoints:
                raise unknown_checkpoint(version)
            return self._contents.checkpoints[version]

    def versions(self) -> list[str]:
        """See PolicyStore."""
        return [manifest.version for manifest in self.list_checkpoints()]

    def list_checkpoints(self) -> list[CheckpointManifest]:
        """See PolicyStore."""
        with self._changed:
            return [checkpoint.parsed() for checkpoint in self._contents.checkpoints.values()]

    def propose(self, proposal: PreferenceProposal) -> None:
        """See PolicyStore."""
        with self._changed:
            if proposal.proposal_id in self._contents.proposals:
                raise proposal_conflict(proposal.proposal_id)
            self._keep_proposal(proposal)
            self._audit(proposal_audited(proposal, self.clock()))

    def approve(self, decided: PreferenceProposal, record: SignedRecord, *, parent_revision: int | None) -> None:
        """See PolicyStore."""
        change = self._ordered((PreferenceRecord,), record, parent_revision)
        with self._changed:
            self._require_open(decided.proposal_id)
            self._publish(change.closing(decided))
            self._keep_proposal(decided)

    def reject(self, decided: PreferenceProposal) -> None:
        """See PolicyStore."""
        with self._changed:
            self._require_open(decided.proposal_id)
            self._keep_proposal(decided)
            self._audit(proposal_audited(decided, self.clock()))

    def proposals(self) -> list[PreferenceProposal]:
        """See PolicyStore."""
        with self._changed:
            return sorted(self._contents.proposals.values(), key=lambda each: (each.created_at, each.proposal_id))

    def history(self, slot: str) -> list[SignedRecord]:
        """See PolicyStore."""
        with self._changed:
            return list(self._contents.histories.get(slot, ()))

    def known_records(self, slot: str) -> list[SignedRecord]:
        """See PolicyStore."""
        with self._changed:
            current, history = self._contents.slots.get(slot), self._contents.histories.get(slot, [])
            return [*([] if current is None or current in history[:1] else [current]), *history]

    def slot_bytes(self, slot: str) -> bytes:
        """See PolicyStore."""
        held = self._current(slot)
        return b"" if held is None else held.record

    def control_records(self) -> ControlRecords:
        """See PolicyStore."""
        with self._changed:
            held = self._contents
            history = tuple(held.histories.get(CONTROL_SLOT, ()))
            return ControlRecords(held.slots.get(CONTROL_SLOT), dict(held.kills), dict(held.resumes), history)

    def is_resumed(self, kill_hash: str) -> bool:
        """See PolicyStore."""
        with self._changed:
            return kill_hash in self._contents.resumes

    def audit_entries(self) -> list[AuditEntry]:
        """See PolicyStore."""
        with self._changed:
            return list(self._contents.audit)

    def append_audit(self, actor: str, action: str, detail: Mapping[str, Any]) -> None:
        """See PolicyStore."""
        with self._changed:
            self._audit(AuditEvent(self.clock(), actor, action, detail))

    def updates_since(self, last_id: str, block_ms: int = 0) -> Sequence[StoreUpdate]:
        """See PolicyStore."""
        last = int(last_id.partition("-")[0])
        with self._changed:
            if block_ms > 0:
                timeout_s = min(block_ms, MAX_BLOCK_MS) / 1000
                self._changed.wait_for(lambda: self._contents.update_count > last, timeout_s)
            return [update for update in self._contents.updates if int(update.update_id.partition("-")[0]) > last]

    def newest_update(self) -> str:
        """See PolicyStore."""
        with self._changed:
            return self._contents.updates[-1].update_id if self._contents.updates else "0"

    def heartbeat(self, node_id: str, status: Mapping[str, Any], ttl_s: float) -> Mapping[str, Any]:
        """See PolicyStore."""
        payload = canonical_json(dict(status))
        with self._changed:
            before = next((each.status for each in self.nodes() if each.node_id == node_id), {})
            self._contents.nodes[node_id] = (self.clock() + min(round(ttl_s * 1000), HEARTBEAT_LIMIT_MS), payload)
        return before

    def nodes(self) -> list[NodeStatus]:
        """See PolicyStore."""
        with self._changed:
            now = self.clock()
            # A heartbeat that lasts longer than the limit was written before the clock was set back.
            alive = {
                key: held for key, held in self._contents.nodes.items() if now < held[0] <= now + HEARTBEAT_LIMIT_MS
            }
            self._contents.nodes = alive
            return [
                NodeStatus(node_id, parse_object(payload, f"the heartbeat of node {node_id}"))
                for node_id, (_, payload) in sorted(self._contents.nodes.items())
            ]

    def acquire_lease(self, owner: str, ttl_s: float) -> Lease:
        """See PolicyStore."""
        with self._changed:
            held = self._current_lease()
            if held is not None:
                raise lease_held(held.owner, held.ends_at - self.clock())
            self._contents.fence = next_token(self._contents.fence, self.clock())
            lease = Lease(owner, self._contents.fence, ttl_s)
            self._hold(lease)
            return lease

    def lease_owner(self) -> str | None:
        """See PolicyStore."""
        with self._changed:
            held = self._current_lease()
            return None if held is None else held.owner

    def renew_lease(self, lease: Lease) -> None:
        """See PolicyStore."""
        with self._changed:
            self._require_lease(lease.token)
            self._hold(lease)

    def release_lease(self, lease: Lease) -> None:
        """See PolicyStore."""
        with self._changed:
            held = self._current_lease()
            if held is not None and held.token == lease.token:
                self._contents.lease = None

    def _current(self, slot: str) -> SignedRecord | None:
        with self._changed:
            return self._contents.slots.get(slot)

    def _publish(self, change: RecordChange) -> None:
        with self._changed:
            self._require_lease(change.fencing_token)
            held = self._current(change.parsed.slot)
            current = None if held is None else parse_record(held).revision
            if current != change.parent_revision or change.parsed.revision <= (current or 0):
                raise revision_conflict(change, current)
            if change.points_to is not None and change.points_to not in self._contents.checkpoints:
                raise unknown_checkpoint(change.points_to)
            self._put(change)

    def _publish_control(self, change: RecordChange, record: ControlRecord) -> None:
        with self._changed:
            self._keep_what_lies_in_the_slot()
            if record.killed:
                self._contents.kills[change.signed.hash] = change.signed
            self._contents.resumes.update(dict.fromkeys(record.resumes, change.signed))
            self._put(change)

    def _publish_rebase(self, change: RecordChange, removals: Sequence[SlotRemoval]) -> None:
        held = self._contents
        with self._changed:
            for each in removals:
                if self.slot_bytes(each.slot) != each.found:
                    raise slot_moved(each.slot)
            for each in removals:
                held.slots.pop(each.slot, None)
                if each.left is not None:
                    held.slots[each.slot] = each.left
                history = held.histories.get(each.slot, [])
                held.histories[each.slot] = [record for record in history if record not in each.voided]
            self._put(change)

    def _keep_what_lies_in_the_slot(self) -> None:
        """Keeps a record that another client wrote directly into the slot before it is replaced there."""
        held = self._contents.slots.get(CONTROL_SLOT)
        if held is None or held in self._contents.histories.get(CONTROL_SLOT, [])[:1]:
            return
        try:
            record = ControlRecord.parse(held.record)
        except RecordMalformed:
            return
        if record.killed:
            self._contents.kills.setdefault(held.hash, held)
        for name in record.resumes:
            self._contents.resumes.setdefault(name, held)

    def _put(self, change: RecordChange) -> None:
        """Writes slot, history, audit and notification."""
        slot = change.parsed.slot
        self._contents.slots[slot] = change.signed
        history = [change.signed, *self._contents.histories.get(slot, ())]
        self._contents.histories[slot] = history if slot == LEDGER_SLOT else history[:HISTORY_LIMIT]
        self._audit(change.audited(self.clock()))
        self._notify(slot, str(change.parsed.revision))

    def _keep_proposal(self, proposal: PreferenceProposal) -> None:
        self._contents.proposals[proposal.proposal_id] = proposal
        self._notify("proposal", proposal.proposal_id)

    def _require_open(self, proposal_id: str) -> None:
        held = self._contents.proposals.get(proposal_id)
        if held is None or held.status is not ProposalStatus.OPEN:
            raise unknown_proposal(proposal_id)

    def _require_lease(self, token: int | None) -> None:
        if token is None:
            return
        held = self._current_lease()
        if held is None or held.token != token:
            raise lease_lost(token)

    def _hold(self, lease: Lease) -> None:
        ttl_ms = round(lease.ttl_s * 1000)
        self._contents.lease = _HeldLease(lease.owner, lease.token, self.clock() + ttl_ms, ttl_ms)

    def _current_lease(self) -> _HeldLease | None:
        held, now = self._contents.lease, self.clock()
        return held if held is not None and now < held.ends_at <= now + held.ttl_ms else None

    def _audit(self, event: AuditEvent) -> None:
        audit = self._contents.audit
        audit.append(chain(event, audit[-1] if audit else None))

    def _notify(self, slot: str, value: str) -> None:
        self._contents.update_count += 1
        self._contents.updates.append(StoreUpdate(f"{self._contents.update_count}-0", slot, value))
        del self._contents.updates[:-UPDATES_LIMIT]
        self._changed.notify_all()
