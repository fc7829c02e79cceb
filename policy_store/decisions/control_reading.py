"""Reads a store's kills and resumes into a latch and verifies each; one that fails does not hide the others."""

from __future__ import annotations

from collections.abc import Mapping

from event_schemas.errors import TrimtabError
from policy_store.backends.store import PolicyStore
from policy_store.decisions.verification import TrustRule, verify_record
from policy_store.records.control_record import CONTROL_SLOT, ControlRecord, ControlRecords
from policy_store.records.governed_record import SignedRecord
from policy_store.records.revision_rules import KillLatch, VerifiedControl

Verified = VerifiedControl | str
"""A verified record, or the reason why it could not be verified."""


class ControlReader:
    """One reader's latch, and the records it has verified. Not thread-safe.

    `doubtful` holds the hashes of records among the kills that, at the last read, could not be verified and were not
    lifted.
    """

    def __init__(self, rule: TrustRule) -> None:
        self.latch = KillLatch()
        self.doubtful: tuple[str, ...] = ()
        self._rule = rule
        self._verified: dict[SignedRecord, Verified] = {}

    def read(self, store: PolicyStore) -> tuple[str, ...]:
        """Reads the store into the latch; returns, in words, what could not be verified. Raises StoreUnreachable.

        An unverifiable record in the history, or an unverifiable kill that was lifted, is not reported: keys are
        retired one day.
        """
        found = store.control_records()
        verified = {signed: self._verify(signed) for signed in _all(found)}
        # Keeps results only for records still in the store; their signatures are not checked again at every read.
        self._verified = verified
        history = [None if signed is None else _true(verified[signed]) for signed in found.history]
        placed = frozenset(found.history)
        elsewhere = [_true(each) for signed, each in verified.items() if signed not in placed]
        self.latch.learn([each for each in elsewhere if each is not None], history)
        doubtful = self._doubtful(found, verified)
        self.doubtful = tuple(signed.hash for signed in doubtful)
        return (*found.faults, *(f"{CONTROL_SLOT}: {each.hash}: {verified[each]}" for each in doubtful))

    def recall(self, kills: tuple[SignedRecord, ...], resumes: Mapping[SignedRecord, tuple[str, ...]]) -> None:
        """Adds kills and resumes that this reader knew before a restart, verified again.

        Raises the first TrimtabError, after trying all of them.
        """
        faults: list[TrimtabError] = []
        for signed, lifts in resumes.items():
            try:
                self.latch.recall(self._require(signed), lifts)
            except TrimtabError as fault:
                faults.append(fault)
        for signed in kills:
            try:
                self.latch.learn([self._require(signed)])
            except TrimtabError as fault:
                faults.append(fault)
        if faults:
            raise faults[0]

    def _doubtful(self, found: ControlRecords, verified: Mapping[SignedRecord, Verified]) -> list[SignedRecord]:
        suspects = dict.fromkeys([*([] if found.slot is None else [found.slot]), *found.kills.values()])
        doubted = [signed for signed in suspects if isinstance(verified[signed], str)]
        return [signed for signed in doubted if signed.hash not in self.latch.lifted]

    def _verify(self, signed: SignedRecord) -> Verified:
        held = self._verified.get(signed)
        if held is not None:
            return held
        try:
            return self._require(signed)
        except TrimtabError as fault:
            return str(fault)

    def _require(self, signed: SignedRecord) -> VerifiedControl:
        return VerifiedControl(signed, verify_record(signed, ControlRecord, self._rule))


def _all(found: ControlRecords) -> list[SignedRecord]:
    """Every record found, once; the slot first."""
    records = [found.slot, *found.kills.values(), *found.resumes.values(), *found.history]
    return list(dict.fromkeys(each for each in records if each is not None))


def _true(verified: Verified) -> VerifiedControl | None:
    return verified if isinstance(verified, VerifiedControl) else None
