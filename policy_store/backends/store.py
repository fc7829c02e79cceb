"""The interface every policy store fulfils, with its contract. One test suite runs over all implementations.

A store holds bytes and keeps their order; it has no keys and judges no signature. Readers verify
(`policy_store.decisions.verification`), writers sign (`policy_store.decisions.governance`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from event_schemas.units import DAY_MS
from policy_store.records.audit import AuditEntry
from policy_store.records.checkpoint_record import CheckpointManifest, SignedCheckpoint
from policy_store.records.control_record import ControlRecords
from policy_store.records.governed_record import SignedRecord
from policy_store.records.preference_proposal import PreferenceProposal
from policy_store.records.rebase_record import SlotRemoval

Clock = Callable[[], int]
"""Now in epoch milliseconds."""

HISTORY_LIMIT = 1000
HEARTBEAT_LIMIT_MS = DAY_MS
UPDATES_LIMIT = 1000
MAX_BLOCK_MS = 800


@dataclass(frozen=True, slots=True)
class Lease:
    """The learner's right to publish. `token` is the fencing token: each acquisition gets another one."""

    owner: str
    token: int
    ttl_s: float


@dataclass(frozen=True, slots=True)
class StoreUpdate:
    """A notification: `slot` is `channel:stable`, `preference`, `control`, `checkpoint`, `proposal`, …

    `value` is the new revision, or the version of a checkpoint, or the id of a proposal.
    """

    update_id: str
    slot: str
    value: str


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """The last heartbeat of a live node."""

    node_id: str
    status: Mapping[str, Any]


class PolicyStore(Protocol):
    """Signed checkpoints and records of one experiment.

    Every method raises StoreUnreachable within two seconds when the store does not answer (moving the blobs of
    a checkpoint may take longer once it has answered), and StoreRefused when it answers with an error of its own.
    Every change is one atomic step together with its audit entry and its notification; after a StoreUnreachable it
    is unknown whether the change was made: read again. Thread-safe.
    """

    @property
    def experiment(self) -> str:
        """The experiment whose keys this store reads and writes."""
        ...

    def time_ms(self) -> int:
        """The store's own time in epoch ms: what revisions and expiry follow, whatever the writers' clocks say."""
        ...

    def put_checkpoint(self, checkpoint: SignedCheckpoint, *, fencing_token: int | None = None) -> None:
        """Keep a checkpoint under its manifest's version, for ever.

        Putting the same bytes again changes nothing. Raises RevisionConflict when the version exists with other
        bytes, LeaseLost when a fencing token is given and is not that of the current lease.
        """
        ...

    def get_checkpoint(self, version: str) -> SignedCheckpoint:
        """Manifest, signature and blobs as stored, unverified. Raises UnknownCheckpoint."""
        ...

    def versions(self) -> list[str]:
        """The versions of all checkpoints, oldest first, without reading one of them."""
        ...

    def list_checkpoints(self) -> list[CheckpointManifest]:
        """All manifests, unverified, oldest first. Raises RecordMalformed."""
        ...

    def channel(self, name: str) -> SignedRecord | None:
        """The record of channel `name`, unverified; None before the first publish. Raises RecordMalformed."""
        ...

    def freshness(self, name: str) -> SignedRecord | None:
        """The freshness record of channel `name`, unverified. Raises RecordMalformed."""
        ...

    def preference(self) -> SignedRecord | None:
        """The preference record, unverified."""
        ...

    def control(self) -> SignedRecord | None:
        """The newest kill or resume, unverified. Whether the fleet is killed follows from control_records."""
        ...

    def control_records(self) -> ControlRecords:
        """Every kill and resume, unverified. What cannot be read is named in `faults` and hides nothing else."""
        ...

    def is_resumed(self, kill_hash: str) -> bool:
        """Whether the store holds a resume, true or not, under the hash of this kill."""
        ...

    def rebase(self) -> SignedRecord | None:
        """The newest re-base, unverified."""
        ...

    def publish_channel(
        self, record: SignedRecord, *, parent_revision: int | None, fencing_token: int | None = None
    ) -> None:
        """Replace a channel's record (ChannelRecord) or freshness (FreshnessRecord).

        `parent_revision` is the revision the writer read, None when it read nothing. Raises RevisionConflict when
        the slot has moved since or the new revision is not higher, RevisionAhead when it lies more than an hour
        ahead of the store's time, UnknownCheckpoint when the record points to a version the store lacks, LeaseLost
        when a fencing token is given and is not that of the current lease, RecordMalformed. On any error nothing has
        changed.
        """
        ...

    def publish_control(self, record: SignedRecord) -> None:
        """Add a kill or resume (ControlRecord) to those the store holds. It also becomes the record in `control`.

        Never refused for what the store holds: a kill that lay in the slot is kept, and what has the wrong type is put
        aside. Raises RecordMalformed or ContractMismatch for a record that does not belong here.
        """
        ...

    def publish_rebase(self, record: SignedRecord, own: SlotRemoval, removals: Sequence[SlotRemoval]) -> None:
        """Publish a re-base (RebaseRecord) and take the voided records out of slots and histories.

        `own` says what was found in its own slot when it was worked out, and which records leave its history. Raises
        RevisionConflict when that slot or one to be changed has moved since, RecordMalformed or ContractMismatch. On
        any error nothing has changed.
        """
        ...

    def propose(self, proposal: PreferenceProposal) -> None:
        """Keep an open proposal. Raises RevisionConflict when its id is taken."""
        ...

    def approve(self, decided: PreferenceProposal, record: SignedRecord, *, parent_revision: int | None) -> None:
        """Publish the preference and close the proposal in one step.

        Raises UnknownProposal when the proposal is not open (two people decided at once: one gets this error),
        and as publish_channel. On any error nothing has changed.
        """
        ...

    def reject(self, decided: PreferenceProposal) -> None:
        """Close the proposal without a change. Raises UnknownProposal when it is not open."""
        ...

    def proposals(self) -> list[PreferenceProposal]:
        """All proposals, decided ones included, oldest first."""
        ...

    def history(self, slot: str) -> list[SignedRecord]:
        """The records slot `slot` has held, newest first, at most HISTORY_LIMIT, unverified."""
        ...

    def known_records(self, slot: str) -> list[SignedRecord]:
        """The record in a slot and its history, newest first, unverified; what is no signed record is left out."""
        ...

    def slot_bytes(self, slot: str) -> bytes:
        """The bytes of the record in a slot, whatever they are; empty when there are none."""
        ...

    def audit_entries(self) -> list[AuditEntry]:
        """The whole audit, oldest first; check it with `audit.verify_chain`."""
        ...

    def append_audit(self, actor: str, action: str, detail: Mapping[str, Any]) -> None:
        """Add an entry to the audit. Raises RecordMalformed when detail is not JSON."""
        ...

    def updates_since(self, last_id: str, block_ms: int = 0) -> Sequence[StoreUpdate]:
        """Notifications after `last_id` ("0": from the oldest kept), oldest first.

        Waits up to min(block_ms, MAX_BLOCK_MS) for the first one; an empty answer is normal. Notifications are
        a hint and old ones are dropped: poll the records as well.
        """
        ...

    def newest_update(self) -> str:
        """The id of the newest notification kept, "0" when there is none: where to go on with updates_since."""
        ...

    def heartbeat(self, node_id: str, status: Mapping[str, Any], ttl_s: float) -> None:
        """Report a node alive for `ttl_s` seconds from now, at most a day. Not audited, not notified."""
        ...

    def nodes(self) -> list[NodeStatus]:
        """The nodes whose heartbeat has not expired, by id; one that is no JSON object counts as empty."""
        ...

    def acquire_lease(self, owner: str, ttl_s: float) -> Lease:
        """Take the learner's lease. Raises LeaseHeld while anybody, the same owner included, holds it."""
        ...

    def renew_lease(self, lease: Lease) -> None:
        """Prolong the lease by its ttl from now. Raises LeaseLost."""
        ...

    def release_lease(self, lease: Lease) -> None:
        """Give the lease back; a lease already lost is left alone, without an error."""
        ...
