"""All rules about the order of records. Pure: verified records, numbers and hashes in, a verdict out.

A hash is the SHA-256 (lower-case hex) of a record's bytes as they were signed. Clocks may be wrong by years. Each rule
has its test in `tests/policy_store/records/test_revision_rules.py`.

Kills and resumes are a set, not a sequence:

1. **A kill holds until a resume names its hash.** Revisions and clocks do not matter: a kill with revision 5 is in
   force even if it is published while the slot holds a resume from the year 2036.
2. **A lifted kill stays lifted.** A reader that knows the resume ignores the kill wherever it appears again. Another
   record, even with the same revision, is a different kill: an old kill written back into the slot has no effect, but
   a new one signed today with its revision does.
3. **A resume of version 0.1.0 names no kill, and lifts only kills of version 0.1.0**: the kill directly below it in the
   history if its revision is the resume's parent revision, then that kill's parent, and so on. A kill that the history
   does not link this way is not lifted. Nor is a kill of the current version: its parent is its own revision.
   History [resume 12 over 11, kill 11 over 10, kill 10]: both are lifted. [kill 12, resume 11 over 10, kill 10]: kill
   12 holds. [resume 12 over 11, kill 11 over 11]: kill 11 holds.
4. **A new kill is never identical to a lifted one.** No resume known to the writer contains its hash: if a person kills
   twice for the same reason, even at the highest possible revision, the two records differ.

All other records are ordered within their slot by revision:

5. **The next revision is max(highest known revision, store's time) + 1**, and at most an hour ahead of the store's
   time. Known revisions are those in the slot, in its history, and in nodes' reports. Example: known 90, time 100 →
   101; known 100, time 90 → 101.
6. **A writer whose clock differs from the store's by more than an hour cannot publish**: one of the two is wrong, and
   it is unknown which. A learner in 2036 at a store in 2026 is refused; a kill can still be published.
7. **A reader refuses a revision more than an hour and five minutes ahead of its own clock**, keeps what it has, and
   reads again later, because its own clock may be the wrong one. A node in 1970 accepts nothing until its clock is set.
8. **Within an epoch a reader never goes back**: it refuses a revision below the highest it has accepted in the slot.
   Highest 101: 100, from a restored backup, is refused; 101 and 102 are accepted.

A re-base repairs a history that contains revisions from the far future:

9. **Only epochs order re-bases.** A reader applies each epoch once, in rising order: after epoch 2, epoch 1 written
   back into the slot changes nothing, whatever the revisions are.
10. **A re-base voids records by hash, permanently, and lowers the revisions a reader remembers to at most its own.**
    Highest 2036, re-base at 2026 → 2026; highest 2025 → 2025. A voided record is refused even when its time has come.
    Kills are not affected.
11. **A node's report from an earlier epoch counts as at most the revision of every later re-base**, because the node
    will lower it when it reads that re-base. A node in epoch 0 that reports 2036 counts as 2026 after the re-base of
    2026. A report from an epoch more than 1,000 above the store's is ignored; for a publication it counts if its
    revision is at most an hour ahead, because then it stops nobody (an emptied store knows no epoch). A new epoch is
    the lowest one above the store's for which there is no report from it or from the 1,000 epochs after it. So one
    re-base is enough for any set of reports, and none can use up the epochs. Store at epoch 0, reports from epochs 4
    and 2^52: the re-base has epoch 5, and the second report is ignored before and after it. A re-base without a
    trusted signature counts as a report from its epoch, and is removed if that epoch is later than the new one.
12. **Decisions about different slots are ordered by (epoch in which they were accepted, revision)**: a canary record of
    the current epoch is newer than a stable record of the year 2036 from the epoch before.

For the learner's lease:

13. **Each lease gets a new token**: max(last + 1, store's time), or the store's time if that maximum is more than an
    hour ahead. Last token 2036, time 2026 → 2026. If a lease has more time left than it was acquired for, the clock was
    set back, and the lease counts as ended.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from event_schemas.instant import utc_text
from event_schemas.number_bounds import EXACT_INTEGERS
from event_schemas.units import HOUR_MS, MINUTE_MS
from policy_store.records.control_record import ControlRecord
from policy_store.records.governed_record import GovernedRecord, SignedRecord
from policy_store.records.rebase_record import RebaseRecord
from policy_store.records.store_errors import (
    ClocksDisagree,
    RecordFromFuture,
    RecordVoided,
    RevisionAhead,
    RevisionRegressed,
)

READER_TOLERANCE_MS = 5 * MINUTE_MS
MAX_REVISION = EXACT_INTEGERS - 1
EPOCHS_BEYOND = 1_000
UNKNOWN_LEASE_MS = HOUR_MS
"""Maximum duration of a lease that does not say for how long it was acquired."""
REBASE_FIX = "check with `trimtab policy rebase --dry-run`, then void it with `trimtab policy rebase`"


@dataclass(frozen=True, slots=True)
class KnownRevision:
    """A revision of a slot, and who knows it: `the store` or `node <id>`."""

    revision: int
    source: str


@dataclass(frozen=True, slots=True)
class VerifiedControl:
    """A kill or resume with valid signature, role and experiment, and the bytes that were signed."""

    signed: SignedRecord
    record: ControlRecord

    @property
    def hash(self) -> str:
        """The record's hash."""
        return self.signed.hash


@dataclass(frozen=True, slots=True, order=True)
class DecisionOrder:
    """Rule 12: the position of a decision in the order of all slots' decisions."""

    epoch: int = 0
    revision: int = 0


def lies_far_ahead(revision: int, time_ms: int) -> bool:
    """Whether a revision is more than an hour ahead of a time."""
    return revision - time_ms > HOUR_MS


def hinders_publishing(revision: int, time_ms: int) -> bool:
    """Whether a revision is so far ahead that nothing can be published over it; a re-base voids such records."""
    return lies_far_ahead(revision + 1, time_ms)


def next_revision(slot: str, known: Iterable[KnownRevision], time_ms: int) -> int:
    """Rule 5. Raises a RevisionAhead that names who knows the highest revision."""
    highest = max(known, key=lambda each: each.revision, default=KnownRevision(0, "nobody"))
    revision = max(highest.revision, time_ms) + 1
    require_publishable(slot, revision, time_ms, highest.source)
    return revision


def require_publishable(slot: str, revision: int, time_ms: int, source: str = "the writer") -> None:
    """Raises RevisionAhead for a revision more than an hour ahead of the store's time."""
    if lies_far_ahead(revision, time_ms):
        raise RevisionAhead(
            f"{slot}: revision {revision} ({utc_text(revision)}, from {source}) is more than an hour ahead of the "
            f"store's clock ({utc_text(time_ms)})",
            fix=REBASE_FIX,
        )


def require_clocks_agree(own_ms: int, time_ms: int) -> None:
    """Rule 6. Raises a ClocksDisagree that names both times."""
    if abs(own_ms - time_ms) > HOUR_MS:
        raise ClocksDisagree(
            f"this machine's clock says {utc_text(own_ms)}, the store's {utc_text(time_ms)}: they differ by more than "
            "an hour",
            fix="correct the clock that is wrong, then publish again",
        )


def control_revision(known: Iterable[int], time_ms: int) -> int:
    """The revision of a kill or resume: above all known ones if possible, so that nodes of 0.1.0 obey."""
    return min(max([*known, time_ms]) + 1, MAX_REVISION)


def kill_revisions(revision: int) -> dict[str, int]:
    """Rule 3: the fields that mark a kill as one that only a resume with its hash lifts."""
    return {"revision": revision, "parent_revision": revision}


def unlike_lifted(kill: ControlRecord, lifted: Callable[[str], bool]) -> ControlRecord:
    """Rule 4: the kill itself, or, if it was lifted, one with another revision that was not."""
    while lifted(SignedRecord(kill.canonical(), b"", "").hash):
        kill = kill.model_copy(update=kill_revisions(kill.revision - 1))
    return kill


def next_epoch(known: Iterable[int], claimed: Iterable[int]) -> int:
    """Rules 9 and 11: an epoch above all that the store knows and all reported ones that count."""
    epoch = max(known, default=0) + 1
    for each in sorted(claimed):
        if epoch <= each <= epoch + EPOCHS_BEYOND:
            epoch = each + 1
    return epoch


def counted_claim(revision: int, epoch: int, rebases: Collection[RebaseRecord], time_ms: int | None = None) -> int:
    """Rule 11: how a revision counts that a node in `epoch` reports; 0 if it is ignored. `rebases` are the store's.

    `time_ms` is the store's time at a publication.
    """
    if epoch > max((each.epoch for each in rebases), default=0) + EPOCHS_BEYOND:
        return 0 if time_ms is None or hinders_publishing(revision, time_ms) else revision
    return min([revision, *(each.revision for each in rebases if each.epoch > epoch)])


def next_token(last: int, time_ms: int) -> int:
    """Rule 13."""
    token = max(last + 1, time_ms)
    return time_ms if lies_far_ahead(token, time_ms) else token


class KillLatch:
    """Rules 1 to 3 for one reader: the kills and resumes it knows, even if the store loses them."""

    def __init__(self) -> None:
        self._kills: dict[str, VerifiedControl] = {}
        self._resumes: dict[str, VerifiedControl] = {}
        self._lifts: dict[str, tuple[str, ...]] = {}
        self._lifted: set[str] = set()

    @property
    def killed(self) -> bool:
        """Whether a kill holds."""
        return any(each not in self._lifted for each in self._kills)

    @property
    def open_kills(self) -> tuple[VerifiedControl, ...]:
        """The kills that hold, in the order they became known."""
        return tuple(each for name, each in self._kills.items() if name not in self._lifted)

    @property
    def kills(self) -> tuple[SignedRecord, ...]:
        """Every kill known, lifted or not."""
        return tuple(each.signed for each in self._kills.values())

    @property
    def resumes(self) -> tuple[tuple[SignedRecord, tuple[str, ...]], ...]:
        """Every resume known, with the hashes of the kills it lifts."""
        return tuple((each.signed, self._lifts[name]) for name, each in self._resumes.items())

    @property
    def lifted(self) -> frozenset[str]:
        """The hashes that a resume lifts, including those of kills not seen yet."""
        return frozenset(self._lifted)

    def learn(self, found: Iterable[VerifiedControl], history: Sequence[VerifiedControl | None] = ()) -> None:
        """Adds the records of a store: `history`, newest first, with None for unverified ones, and those `found`
        elsewhere."""
        records = [each for each in (*found, *history) if each is not None]
        for each in records:
            if each.record.killed:
                self._kills.setdefault(each.hash, each)
            else:
                self._lift(each, each.record.resumes or _shown_to_lift(each, history))

    def recall(self, resume: VerifiedControl, lifts: Iterable[str]) -> None:
        """Adds a resume with the hashes that this reader, before a restart, found that it lifts."""
        self._lift(resume, (*lifts, *resume.record.resumes))

    def _lift(self, resume: VerifiedControl, hashes: Iterable[str]) -> None:
        known = self._lifts.get(resume.hash, ())
        self._resumes.setdefault(resume.hash, resume)
        self._lifts[resume.hash] = tuple(dict.fromkeys((*known, *hashes)))
        self._lifted.update(self._lifts[resume.hash])


@dataclass
class ReaderMemory:
    """Rules 7 to 10 for one reader: the highest revision accepted by slot, the epoch, and the hashes voided."""

    highest: dict[str, int] = field(default_factory=dict)
    epoch: int = 0
    voided: set[str] = field(default_factory=set)

    def require_acceptable(self, signed: SignedRecord, record: GovernedRecord, clock_ms: int | None = None) -> None:
        """Raises RecordVoided, RecordFromFuture (only when a clock is given) or RevisionRegressed."""
        if signed.hash in self.voided:
            raise RecordVoided(
                f"{record.slot}: revision {record.revision} was voided by a re-base", fix="publish a new record"
            )
        if clock_ms is not None and record.revision - clock_ms > HOUR_MS + READER_TOLERANCE_MS:
            # The message omits this clock's time, so that it is the same at every read.
            raise RecordFromFuture(
                f"{record.slot}: revision {record.revision} ({utc_text(record.revision)}) is more than an hour ahead "
                "of this machine's clock",
                fix=f"correct this machine's clock if it is wrong; if not, {REBASE_FIX}",
            )
        highest = self.highest.get(record.slot)
        if highest is not None and record.revision < highest:
            raise RevisionRegressed(
                f"{record.slot} is at revision {record.revision}, but {highest} was seen before",
                fix="publish a new record: the store was restored from old data, or an old record was replayed",
            )

    def require_never_seen(self, slot: str) -> None:
        """Raises RevisionRegressed when the slot is empty but had a record before."""
        if slot in self.highest:
            raise RevisionRegressed(
                f"{slot} is empty, but revision {self.highest[slot]} was seen before",
                fix="publish a new record: the store was emptied or restored from old data",
            )

    def accept(self, record: GovernedRecord) -> None:
        """Notes an accepted record's revision."""
        self.highest[record.slot] = max(record.revision, self.highest.get(record.slot, 0))

    def order_of(self, record: GovernedRecord) -> DecisionOrder:
        """Rule 12 for a record that is accepted now."""
        return DecisionOrder(self.epoch, record.revision)

    def recall(self, signed: SignedRecord, record: GovernedRecord) -> None:
        """Notes a record accepted before a restart, unless its slot is already known or the record is voided."""
        if signed.hash not in self.voided and record.slot not in self.highest:
            self.accept(record)

    def apply(self, rebase: RebaseRecord) -> bool:
        """Rules 9 and 10; True when the re-base is new."""
        self.voided.update(rebase.voids)
        if rebase.epoch <= self.epoch:
            return False
        self.epoch = rebase.epoch
        self.highest = {slot: min(revision, rebase.revision) for slot, revision in self.highest.items()}
        return True


def _shown_to_lift(resume: VerifiedControl, history: Sequence[VerifiedControl | None]) -> tuple[str, ...]:
    """Rule 3: the kills of version 0.1.0 that a resume of that version lifts."""
    lifts, parent = list[str](), resume.record.parent_revision
    # If a resume was replayed into the history, its lowest position is where it was published.
    place = max((at for at, each in enumerate(history) if each == resume), default=len(history))
    for below in history[place + 1 :]:
        if below is None or not below.record.killed or below.record.revision != parent or below.record.must_be_named:
            break
        lifts.append(below.hash)
        parent = below.record.parent_revision
    return tuple(lifts)
