"""The governed slots of a store: which record kinds may be read from and written to each, whatever holds them."""

from __future__ import annotations

from abc import ABC, abstractmethod

from policy_store.channel_record import ChannelRecord, FreshnessRecord, channel_named, channel_slot, freshness_slot
from policy_store.control_record import CONTROL_SLOT, ControlRecord
from policy_store.governed_record import SignedRecord
from policy_store.preference_record import PREFERENCE_SLOT, PreferenceRecord
from policy_store.store_change import RecordChange, record_change


class RecordSlots(ABC):
    """The part of PolicyStore that is about signed records; an implementation holds and replaces them."""

    @property
    @abstractmethod
    def experiment(self) -> str:
        """See PolicyStore."""

    @abstractmethod
    def _current(self, slot: str) -> SignedRecord | None:
        """The record in a slot, None when there is none."""

    @abstractmethod
    def _publish(self, change: RecordChange) -> None:
        """Make a change whole or not at all; raises RevisionConflict or LeaseLost."""

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

    def publish_channel(
        self, record: SignedRecord, *, parent_revision: int | None, fencing_token: int | None = None
    ) -> None:
        """See PolicyStore."""
        expected = (ChannelRecord, FreshnessRecord)
        self._publish(record_change(self.experiment, expected, record, parent_revision, fencing_token))

    def publish_preference(self, record: SignedRecord, *, parent_revision: int | None) -> None:
        """See PolicyStore."""
        self._publish(record_change(self.experiment, (PreferenceRecord,), record, parent_revision))

    def publish_control(self, record: SignedRecord, *, parent_revision: int | None) -> None:
        """See PolicyStore."""
        self._publish(record_change(self.experiment, (ControlRecord,), record, parent_revision))
