"""What a node must not forget: the kills and resumes it knows, revisions, and re-bases."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from policy_store.records.governed_record import SignedRecord
from serving_agent.pickup.signed_json import decode_record, encode_record, items, numbers, texts

KEPT = 1_000
"""How many lifted kills, and how many resumes, a node remembers on its disk."""


@dataclass(frozen=True, slots=True)
class NodeMemory:
    """Signed bytes and numbers, unverified.

    revisions   the highest revision seen by slot
    kills       every kill known, the one known longest first
    resumes     every resume known, with the hashes of the kills it lifts, likewise
    epoch       of the last re-base applied; 0 before the first
    voided      the hashes that re-bases have voided
    """

    revisions: Mapping[str, int] = field(default_factory=dict)
    kills: tuple[SignedRecord, ...] = ()
    resumes: Mapping[SignedRecord, tuple[str, ...]] = field(default_factory=dict)
    epoch: int = 0
    voided: frozenset[str] = frozenset()

    def merged(self, other: "NodeMemory") -> "NodeMemory":
        """What either knows. A re-base may have lowered revisions: those of the later epoch count."""
        resumes = {
            signed: tuple(dict.fromkeys((*self.resumes.get(signed, ()), *other.resumes.get(signed, ()))))
            for signed in (*self.resumes, *other.resumes)
        }
        later = [each for each in (self, other) if each.epoch == max(self.epoch, other.epoch)]
        return NodeMemory(
            revisions={
                slot: max(each.revisions.get(slot, 0) for each in later) for each in later for slot in each.revisions
            },
            kills=tuple(dict.fromkeys((*self.kills, *other.kills))),
            resumes=resumes,
            epoch=max(self.epoch, other.epoch),
            voided=self.voided | other.voided,
        )

    def bounded(self, lifted: Collection[str]) -> "NodeMemory":
        """Without the oldest of the kills that `lifted` names, and without the oldest resumes that nothing needs.

        A kill goes before the resumes that lift it, and one that holds never goes: should one that is forgotten be
        replayed where nothing else knows its resume, it holds again until it is lifted again.
        """
        past = [signed for signed in self.kills if signed.hash in lifted]
        forgotten = set(past[: max(len(past) - KEPT, 0)])
        kills = tuple(signed for signed in self.kills if signed not in forgotten)
        newest = {name: signed for signed, lifts in self.resumes.items() for name in lifts}
        needed = {newest[each.hash] for each in kills if each.hash in newest} | set(list(self.resumes)[-KEPT:])
        resumes = {signed: lifts for signed, lifts in self.resumes.items() if signed in needed}
        return replace(self, kills=kills, resumes=resumes)

    def encoded(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "revisions": dict(self.revisions),
            "kills": [encode_record(signed) for signed in self.kills],
            "resumes": [{**encode_record(signed), "lifts": list(lifts)} for signed, lifts in self.resumes.items()],
            "epoch": self.epoch,
            "voided": sorted(self.voided),
        }

    @classmethod
    def decoded(cls, content: Mapping[str, Any]) -> "NodeMemory":
        """The opposite of encoded; what is left out is empty. Raises one of NOT_AS_SAVED."""
        return cls(
            revisions=numbers(content.get("revisions", {})),
            kills=tuple(decode_record(each) for each in items(content.get("kills", []))),
            resumes={decode_record(each): texts(each["lifts"]) for each in items(content.get("resumes", []))},
            epoch=int(content.get("epoch", 0)),
            voided=frozenset(texts(content.get("voided", []))),
        )
