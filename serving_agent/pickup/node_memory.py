"""What a node must not forget: the kills, resumes, revisions and re-bases it knows."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from policy_store.records import SignedRecord
from serving_agent.pickup.signed_json import decode_record, encode_record, items, numbers, texts

KEPT = 1_000
"""How many lifted kills, and how many resumes, a node remembers on its disk."""


@dataclass(frozen=True, slots=True)
class NodeMemory:
    """The memory as signed bytes and numbers, unverified.

    revisions   the highest revision seen, by slot
    kills       every kill known, in the order in which they were learnt
    resumes     every resume known, in the same order, with the hashes of the kills it lifts
    epoch       the epoch of the last re-base applied; 0 before the first
    voided      the hashes of records that re-bases have voided
    """

    revisions: Mapping[str, int] = field(default_factory=dict)
    kills: tuple[SignedRecord, ...] = ()
    resumes: Mapping[SignedRecord, tuple[str, ...]] = field(default_factory=dict)
    epoch: int = 0
    voided: frozenset[str] = frozenset()

    def merged(self, other: "NodeMemory") -> "NodeMemory":
        """The union of both. Revisions are taken from the later epoch, because a re-base may have lowered them."""
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
        """The memory without the oldest kills named in `lifted`, and without the oldest resumes no longer needed.

        A kill is dropped before the resumes that lift it, and never while it holds. If a dropped kill is replayed to a
        node that does not know its resume, it holds again until it is lifted again.
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
        """The inverse of `encoded`; missing parts are empty. Raises one of NOT_AS_SAVED."""
        return cls(
            revisions=numbers(content.get("revisions", {})),
            kills=tuple(decode_record(each) for each in items(content.get("kills", []))),
            resumes={decode_record(each): texts(each["lifts"]) for each in items(content.get("resumes", []))},
            epoch=int(content.get("epoch", 0)),
            voided=frozenset(texts(content.get("voided", []))),
        )
