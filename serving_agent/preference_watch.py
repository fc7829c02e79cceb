"""Follows the two records that people sign for the whole fleet: the preference and the kill switch."""

from typing import TypeVar

from event_schemas.errors import TrimtabError
from event_schemas.experiment import Experiment
from policy_store.control_record import CONTROL_SLOT, ControlRecord
from policy_store.governed_record import GovernedRecord, SignedRecord
from policy_store.preference_record import PREFERENCE_SLOT, PreferenceRecord
from policy_store.store import PolicyStore
from policy_store.store_errors import RevisionRegressed, StoreRefused, StoreUnreachable
from policy_store.verification import TrustRule, verify_record
from serving_agent.objective_preference import ObjectivePreference
from serving_agent.snapshot_disk import SavedSnapshot

Governed = TypeVar("Governed", bound=GovernedRecord)


class PreferenceWatch:
    """The preference and kill flag this node has accepted; used by one thread.

    `fault` says why the newest record of either kind was not accepted; the last good one stays in force.
    """

    def __init__(self, experiment: Experiment, rule: TrustRule) -> None:
        self.preference = ObjectivePreference.of_experiment(experiment)
        self.killed = False
        self.fault: str | None = None
        self.saved_preference: SignedRecord | None = None
        self.saved_control: SignedRecord | None = None
        self.revisions: dict[str, int] = {}
        self._experiment = experiment
        self._rule = rule

    def poll(self, store: PolicyStore) -> bool:
        """Look at both records; True when something changed. Raises StoreUnreachable and StoreRefused."""
        before = (self.saved_preference, self.saved_control, self.fault)
        faults = []
        # The kill switch comes first, and nothing that is wrong with the preference may keep it from working.
        for accept, read in ((self._accept_control, store.control), (self._accept_preference, store.preference)):
            try:
                accept(read())
            except (StoreUnreachable, StoreRefused):
                raise
            except TrimtabError as fault:
                faults.append(str(fault))
        self.fault = "; ".join(faults) or None
        return before != (self.saved_preference, self.saved_control, self.fault)

    def restore(self, saved: SavedSnapshot) -> None:
        """Start from the disk: each record for itself, and the highest revisions seen even where a record does not
        verify any more. Raises the first TrimtabError after both were tried."""
        faults = []
        for accept, signed in ((self._accept_control, saved.control), (self._accept_preference, saved.preference)):
            try:
                if signed is not None:
                    accept(signed)
            except TrimtabError as fault:
                faults.append(fault)
        for slot in (CONTROL_SLOT, PREFERENCE_SLOT):
            if slot in saved.revisions:
                self.revisions[slot] = max(saved.revisions[slot], self.revisions.get(slot, 0))
        if faults:
            raise faults[0]

    def _accept_preference(self, signed: SignedRecord | None) -> None:
        record = self._newer(signed, self.saved_preference, PREFERENCE_SLOT, PreferenceRecord)
        if record is not None:
            self.preference = ObjectivePreference.of_record(record, self._experiment)
            self.saved_preference = signed
            self.revisions[PREFERENCE_SLOT] = record.revision

    def _accept_control(self, signed: SignedRecord | None) -> None:
        record = self._newer(signed, self.saved_control, CONTROL_SLOT, ControlRecord)
        if record is not None:
            self.killed = record.killed
            self.saved_control = signed
            self.revisions[CONTROL_SLOT] = record.revision

    def _newer(
        self, signed: SignedRecord | None, known: SignedRecord | None, slot: str, kind: type[Governed]
    ) -> Governed | None:
        """The verified record when it is another one than the known; None when there is nothing new."""
        highest = self.revisions.get(slot)
        if signed is None:
            if highest is not None:
                raise RevisionRegressed(
                    f"{slot} is empty, but revision {highest} was seen before",
                    mend="the store was emptied or restored from old data: publish a new record",
                )
            return None
        return None if signed == known else verify_record(signed, kind, self._rule, highest)
