"""The slots of a store for signed records, and which record kinds may be written to each, for every implementation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from policy_store.backends.store_change import RecordChange, record_change, unordered_change
from policy_store.records.account_record import ACCOUNT_SLOT, AccountRecord
from policy_store.records.channel_record import (
    ChannelRecord,
    FreshnessRecord,
    channel_named,
    channel_slot,
    freshness_slot,
)
from policy_store.records.control_record import CONTROL_SLOT, ControlRecord
from policy_store.records.experiment_record import EXPERIMENTS_SLOT, ExperimentsRecord
from policy_store.records.governed_record import GovernedRecord, SignedRecord
from policy_store.records.ledger_record import LEDGER_SLOT, LedgerRecord
from policy_store.records.preference_record import PREFERENCE_SLOT
from policy_store.records.rebase_record import REBASE_SLOT, RebaseRecord, SlotRemoval
from policy_store.records.revision_rules import require_publishable


class RecordSlots(ABC):
    """The part of PolicyStore for signed records; a subclass stores and replaces them."""

    @property
    @abstractmethod
    def experiment(self) -> str:
        """See PolicyStore."""

    @abstractmethod
    def time_ms(self) -> int:
        """See PolicyStore."""

    @abstractmethod
    def history(self, slot: str) -> list[SignedRecord]:
        """See PolicyStore."""

    @abstractmethod
    def _current(self, slot: str) -> SignedRecord | None:
        """The record in a slot; None when there is none."""

    @abstractmethod
    def _publish(self, change: RecordChange) -> None:
        """Makes a change atomically; raises RevisionConflict or LeaseLost."""

    @abstractmethod
    def _publish_control(self, change: RecordChange, record: ControlRecord) -> None:
        """Adds a kill or resume, whatever the store contains."""

    @abstractmethod
    def _publish_rebase(self, change: RecordChange, removals: Sequence[SlotRemoval]) -> None:
        """Makes a re-base atomically; its own slot is among the removals. Raises RevisionConflict."""

    def channel(self, name: str) -> SignedRecord | None:
        """See PolicyStore."""
        return self._current(channel_slot(channel_named(name)))

    def freshness(self, name: str) -> SignedRecord | None:
        """See PolicyStore."""
        return self._current(freshness_slot(channel_named(name)))

    def preference(self) -> SignedRecord | None:
        """See PolicyStore."""
        return self._current(PREFERENCE_SLOT)

    def control(self) -> SignedRecord | None:
        """See PolicyStore."""
        return self._current(CONTROL_SLOT)

    def rebase(self) -> SignedRecord | None:
        """See PolicyStore."""
        return self._current(REBASE_SLOT)

    def experiments(self) -> SignedRecord | None:
        """See PolicyStore."""
        return self._current(EXPERIMENTS_SLOT)

    def account(self) -> SignedRecord | None:
        """See PolicyStore."""
        return self._current(ACCOUNT_SLOT)

    def ledger(self) -> list[SignedRecord]:
        """See PolicyStore."""
        return self.history(LEDGER_SLOT)[::-1]

    def publish_channel(
        self, record: SignedRecord, *, parent_revision: int | None, fencing_token: int | None = None
    ) -> None:
        """See PolicyStore."""
        self._publish(self._ordered((ChannelRecord, FreshnessRecord), record, parent_revision, fencing_token))

    def publish_experiments(self, record: SignedRecord, *, parent_revision: int | None) -> None:
        """See PolicyStore."""
        self._publish(self._ordered((ExperimentsRecord,), record, parent_revision))

    def publish_account(self, record: SignedRecord, *, parent_revision: int | None, fencing_token: int) -> None:
        """See PolicyStore."""
        self._publish(self._ordered((AccountRecord,), record, parent_revision, fencing_token))

    def append_ledger(self, record: SignedRecord, *, parent_revision: int | None) -> None:
        """See PolicyStore."""
        self._publish(self._ordered((LedgerRecord,), record, parent_revision))

    def publish_control(self, record: SignedRecord) -> None:
        """See PolicyStore."""
        change = unordered_change(self.experiment, ControlRecord, record)
        self._publish_control(change, ControlRecord.parse(record.record))

    def publish_rebase(self, record: SignedRecord, own: SlotRemoval, removals: Sequence[SlotRemoval]) -> None:
        """See PolicyStore."""
        self._publish_rebase(unordered_change(self.experiment, RebaseRecord, record), [own, *removals])

    def _ordered(
        self,
        expected: tuple[type[GovernedRecord], ...],
        record: SignedRecord,
        parent_revision: int | None,
        fencing_token: int | None = None,
    ) -> RecordChange:
        """The change that publishes a record over its parent; raises the errors of record_change, and RevisionAhead."""
        change = record_change(self.experiment, expected, record, parent_revision, fencing_token)
        require_publishable(change.parsed.slot, change.parsed.revision, self.time_ms())
        return change
