"""Applies the store's re-bases to the revisions that this node remembers."""

from collections.abc import Sequence

from event_schemas.errors import TrimtabError
from policy_store.backends import PolicyStore
from policy_store.decisions import TrustRule, verified_rebases, verify_record
from policy_store.records import REBASE_SLOT, ReaderMemory, RebaseRecord, SignedRecord


class RebaseWatch:
    """Applies each new re-base once. Not thread-safe. `memory` is shared with the watches of the other slots.

    `fault` says why the newest re-base could not be verified.
    """

    def __init__(self, rule: TrustRule, memory: ReaderMemory) -> None:
        self.memory = memory
        self.fault: str | None = None
        self._rule = rule
        self._seen: list[SignedRecord] = []

    def poll(self, store: PolicyStore) -> bool:
        """Reads slot and history; True when a re-base was applied. Raises StoreUnreachable and StoreRefused.

        The slot alone is not enough: an old re-base may be back in it and hide a newer one that this node has not seen.
        """
        found = store.known_records(REBASE_SLOT)
        if found == self._seen:
            return False
        applied = [self.memory.apply(rebase) for rebase in verified_rebases(found, self._rule)]
        self.fault, self._seen = self._fault(found), found
        return any(applied)

    def _fault(self, found: Sequence[SignedRecord]) -> str | None:
        try:
            for newest in found[:1]:
                verify_record(newest, RebaseRecord, self._rule)
        except TrimtabError as fault:
            return str(fault)
        return None
