"""Follows the preference that people approved for the whole fleet."""

from event_schemas.errors import TrimtabError
from event_schemas.experiment import Experiment
from policy_store.backends import PolicyStore
from policy_store.decisions import TrustRule, verify_record
from policy_store.records import (
    PREFERENCE_SLOT,
    ObjectiveWeights,
    PreferenceRecord,
    ReaderMemory,
    SignedRecord,
    StoreRefused,
    StoreUnreachable,
)
from serving_agent.pickup.snapshot_disk import SavedSnapshot


class PreferenceWatch:
    """The preference this node has accepted. Not thread-safe.

    `fault` says why the newest record was not accepted; the last good one stays in force.
    """

    def __init__(self, experiment: Experiment, rule: TrustRule, memory: ReaderMemory | None = None) -> None:
        """`memory` holds the revisions the node remembers; if left out, the watch has its own."""
        self.preference = ObjectiveWeights.in_force(experiment)
        self.fault: str | None = None
        self.saved: SignedRecord | None = None
        self.memory = ReaderMemory() if memory is None else memory
        self._experiment = experiment
        self._rule = rule

    def poll(self, store: PolicyStore, now_ms: int) -> bool:
        """Reads the record; True when something changed. Raises StoreUnreachable and StoreRefused."""
        before = (self.saved, self.fault)
        try:
            self._accept(store.preference(), now_ms)
            self.fault = None
        except (StoreUnreachable, StoreRefused):
            raise
        except TrimtabError as fault:
            self.fault = str(fault)
        return before != (self.saved, self.fault)

    def restore(self, saved: SavedSnapshot) -> None:
        """Puts the saved preference in force again, whatever its time. Raises TrimtabError."""
        if saved.preference is not None:
            record = verify_record(saved.preference, PreferenceRecord, self._rule)
            self._take(saved.preference, record)
            self.memory.recall(saved.preference, record)

    def _accept(self, signed: SignedRecord | None, now_ms: int) -> None:
        if signed is None:
            self.memory.require_never_seen(PREFERENCE_SLOT)
        elif signed != self.saved:
            record = verify_record(signed, PreferenceRecord, self._rule)
            self.memory.require_acceptable(signed, record, now_ms)
            self._take(signed, record)
            self.memory.accept(record)

    def _take(self, signed: SignedRecord, record: PreferenceRecord) -> None:
        self.preference = ObjectiveWeights.in_force(self._experiment, record)
        self.saved = signed
