"""A policy store in this process's memory: for tests, simulations and trying things out. Nothing survives it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from event_schemas.process_fork import renew_in_children
from policy_store.audit import AuditEntry, AuditEvent, chain
from policy_store.canonical_json import canonical_json, parse_object
from policy_store.checkpoint_record import CheckpointManifest, SignedCheckpoint
from policy_store.governed_record import SignedRecord
from policy_store.key_names import KeyNames
from policy_store.preference_proposal import PreferenceProposal, ProposalStatus
from policy_store.preference_record import PreferenceRecord
from policy_store.record_slots import RecordSlots
from policy_store.store import (
    HISTORY_LIMIT,
    MAX_BLOCK_MS,
    UPDATES_LIMIT,
    Clock,
    Lease,
    NodeStatus,
    StoreUpdate,
    wall_clock_ms,
)
from policy_store.store_change import (
    RecordChange,
    checkpoint_audited,
    checkpoint_change,
    lease_held,
    lease_lost,
    parse_record,
    proposal_audited,
    proposal_conflict,
    record_change,
    revision_conflict,
    unknown_checkpoint,
    unknown_proposal,
    version_conflict,
)


@dataclass
class _Contents:
    checkpoints: dict[str, SignedCheckpoint] = field(default_factory=dict)
    histories: dict[str, list[SignedRecord]] = field(default_factory=dict)
    proposals: dict[str, PreferenceProposal] = field(default_factory=dict)
    audit: list[AuditEntry] = field(default_factory=list)
    updates: list[StoreUpdate] = field(default_factory=list)
    nodes: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    lease: tuple[str, int, int] | None = None
    fence: int = 0
    update_count: int = 0


class MemoryStore(RecordSlots):
    """PolicyStore in memory; `clock` decides when leases and heartbeats expire."""

    def __init__(self, experiment: str, *, clock: Clock = wall_clock_ms) -> None:
        self._experiment = KeyNames(experiment).experiment
        self._clock = clock
        self._contents = _Contents()
        self.after_fork()
        renew_in_children(self)

    def after_fork(self) -> None:
        """A child goes on with a copy, and a lock of its own."""
        self._changed = threading.Condition(threading.RLock())

    @property
    def experiment(self) -> str:
        """See PolicyStore."""
        return self._experiment

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
            self._audit(checkpoint_audited(checkpoint, manifest, self._clock()))
            self._notify("checkpoint", manifest.version)

    def get_checkpoint(self, version: str) -> SignedCheckpoint:
        """See PolicyStore."""
        with self._changed:
            if version not in self._contents.checkpoints:
                raise unknown_checkpoint(version)
            return self._contents.checkpoints[version]

    def list_checkpoints(self) -> list[CheckpointManifest]:
        """See PolicyStore."""
        with self._changed:
            manifests = [checkpoint.parsed() for checkpoint in self._contents.checkpoints.values()]
        return sorted(manifests, key=lambda manifest: (manifest.created_at, manifest.version))

    def propose(self, proposal: PreferenceProposal) -> None:
        """See PolicyStore."""
        with self._changed:
            if proposal.proposal_id in self._contents.proposals:
                raise proposal_conflict(proposal.proposal_id)
            self._keep_proposal(proposal)
            self._audit(proposal_audited(proposal, self._clock()))

    def approve(self, decided: PreferenceProposal, record: SignedRecord, *, parent_revision: int | None) -> None:
        """See PolicyStore."""
        change = record_change(self._experiment, (PreferenceRecord,), record, parent_revision)
        with self._changed:
            self._require_open(decided.proposal_id)
            self._publish(change.closing(decided))
            self._keep_proposal(decided)

    def reject(self, decided: PreferenceProposal) -> None:
        """See PolicyStore."""
        with self._changed:
            self._require_open(decided.proposal_id)
            self._keep_proposal(decided)
            self._audit(proposal_audited(decided, self._clock()))

    def proposals(self) -> list[PreferenceProposal]:
        """See PolicyStore."""
        with self._changed:
            return sorted(self._contents.proposals.values(), key=lambda each: (each.created_at, each.proposal_id))

    def history(self, slot: str) -> list[SignedRecord]:
        """See PolicyStore."""
        with self._changed:
            return list(self._contents.histories.get(slot, ()))

    def audit_entries(self) -> list[AuditEntry]:
        """See PolicyStore."""
        with self._changed:
            return list(self._contents.audit)

    def append_audit(self, actor: str, action: str, detail: Mapping[str, Any]) -> None:
        """See PolicyStore."""
        with self._changed:
            self._audit(AuditEvent(self._clock(), actor, action, detail))

    def updates_since(self, last_id: str, block_ms: int = 0) -> Sequence[StoreUpdate]:
        """See PolicyStore."""
        last = int(last_id.partition("-")[0])
        with self._changed:
            if block_ms > 0:
                timeout_s = min(block_ms, MAX_BLOCK_MS) / 1000
                self._changed.wait_for(lambda: self._contents.update_count > last, timeout_s)
            return [update for update in self._contents.updates if int(update.update_id.partition("-")[0]) > last]

    def heartbeat(self, node_id: str, status: Mapping[str, Any], ttl_s: float) -> None:
        """See PolicyStore."""
        payload = canonical_json(dict(status))
        with self._changed:
            self._contents.nodes[node_id] = (self._clock() + round(ttl_s * 1000), payload)

    def nodes(self) -> list[NodeStatus]:
        """See PolicyStore."""
        with self._changed:
            now = self._clock()
            self._contents.nodes = {key: held for key, held in self._contents.nodes.items() if held[0] > now}
            return [
                NodeStatus(node_id, parse_object(payload, f"the heartbeat of node {node_id}"))
                for node_id, (_, payload) in sorted(self._contents.nodes.items())
            ]

    def acquire_lease(self, owner: str, ttl_s: float) -> Lease:
        """See PolicyStore."""
        with self._changed:
            held = self._current_lease()
            if held is not None:
                raise lease_held(held[0], held[2] - self._clock())
            self._contents.fence = max(self._contents.fence + 1, self._clock())
            lease = Lease(owner, self._contents.fence, ttl_s)
            self._contents.lease = (owner, lease.token, self._clock() + round(ttl_s * 1000))
            return lease

    def renew_lease(self, lease: Lease) -> None:
        """See PolicyStore."""
        with self._changed:
            self._require_lease(lease.token)
            self._contents.lease = (lease.owner, lease.token, self._clock() + round(lease.ttl_s * 1000))

    def release_lease(self, lease: Lease) -> None:
        """See PolicyStore."""
        with self._changed:
            held = self._current_lease()
            if held is not None and held[1] == lease.token:
                self._contents.lease = None

    def _current(self, slot: str) -> SignedRecord | None:
        with self._changed:
            history = self._contents.histories.get(slot)
            return history[0] if history else None

    def _publish(self, change: RecordChange) -> None:
        slot = change.parsed.slot
        with self._changed:
            self._require_lease(change.fencing_token)
            held = self._current(slot)
            current = None if held is None else parse_record(held).revision
            if current != change.parent_revision or change.parsed.revision <= (current or 0):
                raise revision_conflict(change, current)
            if change.points_to is not None and change.points_to not in self._contents.checkpoints:
                raise unknown_checkpoint(change.points_to)
            history = [change.signed, *self._contents.histories.get(slot, ())]
            self._contents.histories[slot] = history[:HISTORY_LIMIT]
            self._audit(change.audited(self._clock()))
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
        if held is None or held[1] != token:
            raise lease_lost(token)

    def _current_lease(self) -> tuple[str, int, int] | None:
        held = self._contents.lease
        return held if held is not None and held[2] > self._clock() else None

    def _audit(self, event: AuditEvent) -> None:
        audit = self._contents.audit
        audit.append(chain(event, audit[-1] if audit else None))

    def _notify(self, slot: str, value: str) -> None:
        self._contents.update_count += 1
        self._contents.updates.append(StoreUpdate(f"{self._contents.update_count}-0", slot, value))
        del self._contents.updates[:-UPDATES_LIMIT]
        self._changed.notify_all()
