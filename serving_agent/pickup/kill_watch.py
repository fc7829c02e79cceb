"""Follows the store's kills and resumes; those this node has learnt stay in force even if the store loses them."""

from event_schemas.errors import TrimtabError
from policy_store.backends import PolicyStore
from policy_store.decisions import ControlReader, TrustRule
from policy_store.records import ControlRecord, SignedRecord, StoreRefused
from serving_agent.pickup.snapshot_disk import SavedSnapshot


class KillWatch:
    """Whether the fleet is killed, as far as this node knows. Not thread-safe.

    `fault` says which records in the store could not be verified or read. `forgotten` means that damage to the disk may
    have lost a kill this node knew; it stays killed until the store has answered once.
    """

    def __init__(self, rule: TrustRule) -> None:
        self.fault: str | None = None
        self.forgotten = False
        self._reader = ControlReader(rule)

    @property
    def killed(self) -> bool:
        """Whether a kill holds or may hold."""
        return self._reader.latch.killed or self.forgotten

    @property
    def open_kills(self) -> dict[str, SignedRecord]:
        """The kills that hold, by hash."""
        return {each.hash: each.signed for each in self._reader.latch.open_kills}

    @property
    def kills(self) -> tuple[SignedRecord, ...]:
        """Every kill known."""
        return self._reader.latch.kills

    @property
    def resumes(self) -> dict[SignedRecord, tuple[str, ...]]:
        """Every resume known, with the hashes of the kills it lifts."""
        return dict(self._reader.latch.resumes)

    def poll(self, store: PolicyStore) -> bool:
        """Reads the store; True when something changed. Raises StoreUnreachable."""
        before = (self.kills, self.resumes, self.fault, self.forgotten)
        try:
            self.fault = "; ".join(self._reader.read(store)) or None
            self.forgotten = False
        except StoreRefused as fault:
            self.fault = str(fault)
        return before != (self.kills, self.resumes, self.fault, self.forgotten)

    def restore(self, saved: SavedSnapshot) -> None:
        """Recalls the saved records that verify. Raises the first TrimtabError, after trying all of them.

        A snapshot of version 0.1.0 contains only the newest record. If that is a resume it is not used: only the
        store's history shows which kills it lifts.
        """
        self.forgotten = saved.forgotten
        try:
            self._restore(saved)
        except TrimtabError:
            # Without a hash, a damaged record cannot be told from one whose key is no longer trusted.
            self.forgotten = self.forgotten or not saved.certain
            raise

    def _restore(self, saved: SavedSnapshot) -> None:
        try:
            self._reader.recall(saved.memory.kills, saved.memory.resumes)
        finally:
            if saved.control is not None and ControlRecord.parse(saved.control.record).killed:
                self._reader.recall((saved.control,), {})
