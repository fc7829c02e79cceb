"""The interface of every policy store, with its contract. One test suite runs over all implementations.

A store keeps signed bytes and their order; it has no keys and checks no signatures. Readers verify
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
"""Returns the current time in epoch milliseconds."""

HISTORY_LIMIT = 1000
HEARTBEAT_LIMIT_MS = DAY_MS
UPDATES_LIMIT = 1000
MAX_BLOCK_MS = 800


@dataclass(frozen=True, slots=True)
class Lease:
    """The learner's right to publish. `token` is the fencing token: each acquisition gets a new one."""

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

    Every method raises StoreUnreachable within two seconds when the store does not answer (the transfer of a
    checkpoint's blobs may take longer once it has answered), and StoreRefused when it answers with an error.
    Every change is one atomic step together with its audit entry and its notification; after a StoreUnreachable it
    is unknown whether the change was made: read again. Thread-safe.
    """

    @property
    def experiment(self) -> str:
        """The experiment whose keys this store reads and writes."""
        ...

    def time_ms(self) -> int:
        """The store's own time in epoch ms. Revisions and expiry follow it, not the writers' clocks."""
        ...

    def put_checkpoint(self, checkpoint: SignedCheckpoint, *, fencing_token: int | None = None) -> None:
        """Stores a checkpoint under its manifest's version, permanently.

        Storing the same bytes again changes nothing. Raises RevisionConflict when the version exists with other
        bytes, LeaseLost when a fencing token is given and is not that of the current lease.
        """
        ...

    def get_checkpoint(self, version: str) -> SignedCheckpoint:
        """Manifest, signature and blobs as stored, unverified. Raises UnknownCheckpoint."""
        ...

    def versions(self) -> list[str]:
        """The versions of all checkpoints in the order in which they came to the store, without reading one of them."""
        ...

    def list_checkpoints(self) -> list[CheckpointManifest]:
        """All manifests, unverified, in the order of `versions`. Raises RecordMalformed."""
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
        """Every kill and resume, unverified. Parts that cannot be read are named in `faults` and do not hide others."""
        ...

    def is_resumed(self, kill_hash: str) -> bool:
        """Whether the store has a resume, verified or not, under the hash of this kill."""
        ...

    def rebase(self) -> SignedRecord | None:
        """The newest re-base, unverified."""
        ...

    def experiments(self) -> SignedRecord | None:
        """The record of the online experiments that run, unverified."""
        ...

    def account(self) -> SignedRecord | None:
        """The gate's account after the newest run of any learner, unverified."""
        ...

    def ledger(self) -> list[SignedRecord]:
        """Every concluded experiment, oldest first, unverified; check it with `verify_ledger`."""
        ...

    def publish_channel(
        self, record: SignedRecord, *, parent_revision: int | None, fencing_token: int | None = None
    ) -> None:
        """Replaces a channel's record (ChannelRecord) or freshness (FreshnessRecord).

        `parent_revision` is the revision the writer read, None when it read nothing. Raises RevisionConflict when
        the slot has changed since or the new revision is not higher, RevisionAhead when it is more than an hour
        ahead of the store's time, UnknownCheckpoint when the record points to a version the store lacks, LeaseLost
        when a fencing token is given and is not that of the current lease, or RecordMalformed. After any error nothing
        has changed.
        """
        ...

    def publish_experiments(self, record: SignedRecord, *, parent_revision: int | None) -> None:
        """Replaces the record of the experiments that run (ExperimentsRecord); raises as publish_channel."""
        ...

    def publish_account(self, record: SignedRecord, *, parent_revision: int | None, fencing_token: int) -> None:
        """Replaces the gate's account (AccountRecord); only who has the lease may. Raises as publish_channel."""
        ...

    def append_ledger(self, record: SignedRecord, *, parent_revision: int | None) -> None:
        """Adds an entry (LedgerRecord) over the one of `parent_revision`; raises as publish_channel."""
        ...

    def publish_control(self, record: SignedRecord) -> None:
        """Adds a kill or resume (ControlRecord) to those in the store. It also becomes the record in `control`.

        Works whatever the store contains: a kill that was in the slot is kept, and keys with the wrong type are set
        aside. Raises RecordMalformed or ContractMismatch for a record that does not belong here.
        """
        ...

    def publish_rebase(self, record: SignedRecord, own: SlotRemoval, removals: Sequence[SlotRemoval]) -> None:
        """Publishes a re-base (RebaseRecord) and removes the voided records from slots and histories.

        `own` says what was in the re-bases' own slot when this one was planned, and which records leave its history.
        Raises RevisionConflict when that slot or one to be changed has changed since, RecordMalformed or
        ContractMismatch. After any error nothing has changed.
        """
        ...

    def propose(self, proposal: PreferenceProposal) -> None:
        """Stores an open proposal. Raises RevisionConflict when its id is taken."""
        ...

    def approve(self, decided: PreferenceProposal, record: SignedRecord, *, parent_revision: int | None) -> None:
        """Publishes the preference and closes the proposal in one step.

        Raises UnknownProposal when the proposal is not open (if two people decide at once, one gets this error),
        and the errors of publish_channel. After any error nothing has changed.
        """
        ...

    def reject(self, decided: PreferenceProposal) -> None:
        """Closes the proposal without a change. Raises UnknownProposal when it is not open."""
        ...

    def proposals(self) -> list[PreferenceProposal]:
        """All proposals, including decided ones, by the clocks of their writers: an order for people to read."""
        ...

    def history(self, slot: str) -> list[SignedRecord]:
        """The records that have been in the slot, newest first, unverified: all of the ledger, else HISTORY_LIMIT."""
        ...

    def known_records(self, slot: str) -> list[SignedRecord]:
        """The record in a slot and its history, newest first, unverified, without items that are not signed records."""
        ...

    def slot_bytes(self, slot: str) -> bytes:
        """The raw bytes of the record in a slot, valid or not; empty when there are none."""
        ...

    def audit_entries(self) -> list[AuditEntry]:
        """The whole audit, oldest first; check it with `audit.verify_chain`."""
        ...

    def append_audit(self, actor: str, action: str, detail: Mapping[str, Any]) -> None:
        """Adds an entry to the audit. Raises RecordMalformed when `detail` is not JSON."""
        ...

    def updates_since(self, last_id: str, block_ms: int = 0) -> Sequence[StoreUpdate]:
        """Notifications after `last_id` ("0": from the oldest kept), oldest first.

        Waits up to min(block_ms, MAX_BLOCK_MS) for the first one; an empty answer is normal. Notifications are
        a hint and old ones are dropped: poll the records as well.
        """
        ...

    def newest_update(self) -> str:
        """The id of the newest notification kept, to continue from with updates_since; "0" when there is none."""
        ...

    def heartbeat(self, node_id: str, status: Mapping[str, Any], ttl_s: float) -> Mapping[str, Any]:
        """Reports a node as alive for `ttl_s` seconds from now, at most a day. Not audited, not notified.

        Returns the heartbeat that this one replaces; empty if there was none, or none that is a JSON object.
        """
        ...

    def nodes(self) -> list[NodeStatus]:
        """The nodes whose heartbeat has not expired, by id; a heartbeat that is not a JSON object counts as empty."""
        ...

    def acquire_lease(self, owner: str, ttl_s: float) -> Lease:
        """Takes the learner's lease. Raises LeaseHeld while any owner, even the same one, has it."""
        ...

    def lease_owner(self) -> str | None:
        """Who has the learner's lease; None if nobody has it."""
        ...

    def renew_lease(self, lease: Lease) -> None:
        """Extends the lease to its ttl from now. Raises LeaseLost."""
        ...

    def release_lease(self, lease: Lease) -> None:
        """Releases the lease; does nothing if it is already lost."""
        ...
