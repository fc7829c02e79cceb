"""A machine that does to a store whatever people, clocks, backups and strangers do, and nodes that live through it.

What each step must leave true is said by a second, plain account of the rules, which knows the raw bytes in the store
and what each node has looked at.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from event_schemas.experiment import Experiment
from event_schemas.units import HOUR_MS
from policy_store.backends.store import PolicyStore
from policy_store.backends.store_change import parse_record
from policy_store.decisions import Decider, TrustRule, kill, kill_state, rebase, resume
from policy_store.decisions.rebase_reading import claimed_rebases
from policy_store.records.control_record import ControlRecord
from policy_store.records.governed_record import GovernedRecord, SignedRecord
from policy_store.records.preference_record import PreferenceRecord, PreferenceTarget
from policy_store.records.rebase_record import REBASE_SLOT
from policy_store.records.revision_rules import EPOCHS_BEYOND, MAX_REVISION, READER_TOLERANCE_MS, counted_claim
from policy_store.records.store_errors import ClocksDisagree, NothingToRebase, RecordMalformed, RevisionAhead
from serving_agent.decide.recent_traffic import RecentTraffic
from serving_agent.pickup.checkpoint_pickup import CheckpointPickup
from serving_agent.pickup.drift_check import DriftCheck
from serving_agent.pickup.refresher import RefresherOptions, SnapshotRefresher
from serving_agent.pickup.snapshot_disk import SnapshotDisk
from tests.policy_store.control_samples import YEAR_MS
from tests.policy_store.foreign_hands import ForeignHands
from tests.policy_store.store_samples import set_preference
from tests.serving_samples import GOVERNANCE_KEY, TRUSTED, serving_experiment

EXPERIMENT = serving_experiment()
NODES = 3
MEMORY_DISK = Path("/dev/shm")
"""Where there is one, the nodes' snapshots lie there: they are synced after each change."""
OFFSETS = st.sampled_from([0, 0, 0, HOUR_MS // 2, -HOUR_MS // 2, 10 * YEAR_MS, YEAR_MS, -10 * YEAR_MS])
EPOCHS = st.integers(0, 5) | st.sampled_from([EPOCHS_BEYOND, EPOCHS_BEYOND + 2, 2 * EPOCHS_BEYOND, 2**52])
FAR = st.sampled_from([10 * YEAR_MS, YEAR_MS, 2 * HOUR_MS])
ANY_REVISION = st.integers(1, 6) | st.sampled_from([MAX_REVISION, MAX_REVISION - 1])
SLOTS = ("control", "preference", "rebase", "channel:stable")


@dataclass
class Node:
    """A node, and what an outsider knows of it: kills and resumes it has looked at, decisions it has accepted."""

    refresher: SnapshotRefresher
    kills: set[str] = field(default_factory=set)
    resumes: set[str] = field(default_factory=set)
    accepted: SignedRecord | None = None
    place: tuple[int, int] = (0, 0)

    def claim(self, store: PolicyStore) -> int:
        """How its report counts at a publication; 0 if it is ignored as a stranger's (rule 11)."""
        memory, made = self.refresher._memory, claimed_rebases(store.known_records(REBASE_SLOT))
        return counted_claim(memory.highest.get("preference", 1), memory.epoch, made, store.time_ms())


class StoreHistories(RuleBasedStateMachine):
    """Subclasses give the store and its time."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY_DISK if MEMORY_DISK.is_dir() else None))
        self.hands = self.open()
        self.records: dict[str, SignedRecord] = {}
        self.kills_of_0_1_0: set[str] = set()
        self.backups: list[Any] = []
        self.reasons = 0
        self.rule = TrustRule(TRUSTED, self.store.experiment, EXPERIMENT.action_space.digest)
        self.offsets = [0] * NODES
        self.nodes = [Node(self.new_refresher(at)) for at in range(NODES)]

    def open(self) -> ForeignHands:
        """A fresh store."""
        raise NotImplementedError

    def time(self) -> int:
        """The store's time."""
        return self.store.time_ms()

    @property
    def store(self) -> PolicyStore:
        """The store as everybody sees it."""
        return self.hands.store

    def new_refresher(self, at: int) -> SnapshotRefresher:
        """A node that has just started and looked at nothing but its disk."""
        recent = RecentTraffic()
        options = RefresherOptions(
            node_id=f"n{at}",
            disk=SnapshotDisk(self.folder / str(at)),
            clock=lambda: max(self.time() + self.offsets[at], 1),
        )
        pickup = CheckpointPickup(EXPERIMENT, DriftCheck(EXPERIMENT, recent))
        experiment = named(self.store.experiment)
        made = SnapshotRefresher(experiment, self.store, self.rule, pickup, recent, options)
        if made._keeper.restore():
            made._swap()
        return made

    def decider(self, offset: int = 0) -> Decider:
        """A person whose clock is off, with a reason nobody gave before."""
        self.reasons += 1
        now_ms = max(self.time() + offset, 1)
        return Decider(by="ada", reason=f"reason {self.reasons}", now_ms=now_ms, key=GOVERNANCE_KEY)

    def keep(self, record: GovernedRecord) -> SignedRecord:
        """Sign a record and remember it for replays."""
        signed = record.signed_by(GOVERNANCE_KEY)
        self.records[signed.hash] = signed
        return signed

    # What people do with this version.

    @rule(offset=OFFSETS)
    def people_kill(self, offset: int) -> None:
        before = self.unnamed_in_store()
        signed = self.keep(kill(self.store, self.decider(offset)))
        assert signed.hash in {each.hash for each in kill_state(self.store, self.rule).open_kills}
        assert self.unnamed_in_store() == before | {signed.hash}

    @rule(offset=OFFSETS)
    def people_resume_what_they_see(self, offset: int) -> None:
        names = [each.hash for each in kill_state(self.store, self.rule).open_kills if each.record is not None]
        if names:
            self.keep(resume(self.store, names, self.decider(offset)))
        assert not any(each.record for each in kill_state(self.store, self.rule).open_kills)

    @precondition(lambda self: self.all_kills())
    @rule(data=st.data())
    def people_resume_some(self, data: st.DataObject) -> None:
        names = data.draw(st.lists(st.sampled_from(self.all_kills()), min_size=1, max_size=2, unique=True))
        before = self.unnamed_in_store()
        self.keep(resume(self.store, names, self.decider()))
        assert self.unnamed_in_store() == before - set(names)

    @rule(offset=OFFSETS)
    def people_publish(self, offset: int) -> None:
        highest = self.highest_in_store("preference")
        try:
            record = self.publish(offset)
        except ClocksDisagree:
            assert abs(offset) > HOUR_MS - 1_000
        except RevisionAhead:
            assert self.far_somewhere()
        else:
            assert abs(offset) <= HOUR_MS + 1_000
            assert highest < record.revision
            assert record.revision - self.time() <= HOUR_MS

    @rule()
    def people_rebase(self) -> None:
        try:
            self.rebase()
        except NothingToRebase:
            assert not self.far_in_store()
        else:
            self.publish(0)

    # What others do.

    @rule(revision=ANY_REVISION)
    def another_client_kills(self, revision: int) -> None:
        self.hands.put("control", self.keep(self.control(revision, None)))

    @rule(offset=OFFSETS, killed=st.booleans())
    def version_0_1_0_decides(self, offset: int, killed: bool) -> None:
        parent = self.revision_in("control")
        revision = min(max((parent or 0) + 1, self.time() + offset), MAX_REVISION)
        signed = self.keep(self.control(revision, parent, killed=killed))
        self.hands.publish_as_0_1_0("control", signed)
        if killed:
            self.kills_of_0_1_0.add(signed.hash)

    @rule(offset=OFFSETS)
    def version_0_1_0_publishes(self, offset: int) -> None:
        self.publish_as_0_1_0(offset)

    @rule(at=st.integers(0, NODES - 1), offset=FAR, lost=st.booleans())
    def a_clock_runs_ahead_with_a_node_and_is_set_right(self, at: int, offset: int, lost: bool) -> None:
        """And perhaps the store is restored, so that only the node remembers."""
        backup = self.hands.backup()
        self.publish_as_0_1_0(offset)
        self.offsets[at] = offset
        self.look(at)
        self.offsets[at] = 0
        if lost:
            self.hands.restore(backup)
            self.look(at)

    @rule(epoch=EPOCHS, offset=FAR, name=st.sampled_from(["evil", "other"]))
    def a_stranger_reports(self, epoch: int, offset: int, name: str) -> None:
        """Whoever may write heartbeats may claim anything."""
        self.store.heartbeat(name, {"epoch": epoch, "revisions": {"preference": self.time() + offset}}, 60)

    def publish_as_0_1_0(self, offset: int) -> None:
        """A preference by version 0.1.0 whose writer's clock is off."""
        parent = self.revision_in("preference")
        revision = min(max((parent or 0) + 1, self.time() + offset), MAX_REVISION)
        content: dict[str, Any] = {"experiment": self.store.experiment, "by": "ada", "reason": self.decider().reason}
        content |= {"revision": revision, "parent_revision": parent, "default": {"alpha": 0.5}}
        record = PreferenceRecord.from_content(content)
        self.hands.publish_as_0_1_0("preference", self.keep(record))

    @precondition(lambda self: self.records)
    @rule(data=st.data(), slot=st.sampled_from(SLOTS) | st.none() | st.none())
    def a_record_is_replayed(self, data: st.DataObject, slot: str | None) -> None:
        """Into its own slot, or where it does not belong."""
        signed = self.records[data.draw(st.sampled_from(list(self.records)))]
        self.hands.put(slot or parse_record(signed).slot, signed)

    @rule(slot=st.sampled_from(["control", "rebase"]), junk=st.sampled_from([b"?", b"{}", b'{"killed":true}']))
    def junk_is_written(self, slot: str, junk: bytes) -> None:
        self.hands.put(slot, SignedRecord(junk, bytes(64), "governance/tests"))

    @rule()
    def the_store_is_emptied(self) -> None:
        self.hands.empty()

    @rule()
    def a_backup_is_made(self) -> None:
        self.backups.append(self.hands.backup())

    @precondition(lambda self: self.backups)
    @rule(data=st.data())
    def a_backup_is_restored(self, data: st.DataObject) -> None:
        self.hands.restore(self.backups[data.draw(st.integers(0, len(self.backups) - 1))])

    # What nodes do.

    @rule(at=st.integers(0, NODES - 1), offset=OFFSETS)
    def a_nodes_clock_is_set(self, at: int, offset: int) -> None:
        self.offsets[at] = offset

    @rule(at=st.integers(0, NODES - 1))
    def a_node_looks(self, at: int) -> None:
        self.look(at)

    @rule(at=st.integers(0, NODES - 1), with_disk=st.booleans())
    def a_node_restarts(self, at: int, with_disk: bool) -> None:
        if with_disk:
            memory = self.nodes[at].refresher._memory
            self.nodes[at].refresher = self.new_refresher(at)
            assert self.nodes[at].refresher._memory == memory
        else:
            shutil.rmtree(self.folder / str(at), ignore_errors=True)
            self.nodes[at] = Node(self.new_refresher(at))
        self.look(at)

    @rule()
    def clocks_are_set_right_and_everything_works(self) -> None:
        self.offsets = [0] * NODES
        self.look_all()
        ignored = [node for node in self.nodes if not node.claim(self.store)]
        try:
            record = self.publish(0)
        except RevisionAhead:
            self.rebase()
            record = self.publish(0)
        self.look_all()
        for node in self.nodes:
            assert node in ignored or node.refresher.holder.current.preference.revision == record.revision

    # The account of an outsider.

    def look_all(self) -> None:
        """Every node looks, and reports."""
        for at in range(NODES):
            self.nodes[at].refresher._heartbeat._beaten_at = 0
            self.look(at)

    def look(self, at: int) -> None:
        """One node looks; what it may and must believe afterwards."""
        node, clock = self.nodes[at], self.time() + self.offsets[at]
        epoch = node.refresher._memory.epoch
        for signed in self.control_in_store():
            (node.kills if ControlRecord.parse(signed.record).killed else node.resumes).add(signed.hash)
        node.refresher.poll()
        assert node.refresher._memory.epoch >= epoch
        self.check_kills(node)
        self.check_preference(node, clock)

    def check_kills(self, node: Node) -> None:
        lifted = {name for each in node.resumes for name in self.control_of(each).resumes}
        old = [self.control_of(each) for each in node.resumes if not self.control_of(each).resumes]
        might_be_lifted = lifted | {name for each in old for name in self.reached_by(each)}
        if not node.refresher.holder.current.killed:
            assert node.kills <= might_be_lifted, "a kill was lifted that no resume names"
        else:
            assert node.kills - lifted, "killed, though a resume names every kill it has seen"

    def check_preference(self, node: Node, clock: int) -> None:
        saved = node.refresher._preference.saved
        if saved is None or saved == node.accepted:
            return
        memory, revision = node.refresher._memory, parse_record(saved).revision
        # The clock of the store may have moved on by now.
        assert revision - clock <= HOUR_MS + READER_TOLERANCE_MS + 10_000, "accepted from the far future"
        assert saved.hash not in memory.voided, "accepted though it is void"
        assert node.place <= (memory.epoch, revision), "went back within an epoch"
        node.accepted, node.place = saved, (memory.epoch, revision)

    @invariant()
    def what_a_node_serves_is_what_it_accepted(self) -> None:
        for node in self.nodes:
            assert node.refresher._preference.saved == node.accepted

    def publish(self, offset: int) -> PreferenceRecord:
        """A preference, by somebody whose clock is off."""
        made = set_preference(self.store, PreferenceTarget.of(alpha=0.5), self.decider(offset), trust=self.rule)
        self.keep(made)
        return made

    def rebase(self) -> None:
        """A re-base by somebody whose clock is right."""
        rebase(self.store, self.rule, self.decider())
        signed = self.store.rebase()
        assert signed is not None
        self.records[signed.hash] = signed

    def control(self, revision: int, parent: int | None, *, killed: bool = True) -> ControlRecord:
        """A kill or resume in the form of version 0.1.0."""
        content = {"experiment": self.store.experiment, "by": "ada", "reason": self.decider().reason}
        return ControlRecord.from_content(content | {"killed": killed, "revision": revision, "parent_revision": parent})

    def control_of(self, name: str) -> ControlRecord:
        """The kill or resume of this hash."""
        return ControlRecord.parse(self.records[name].record)

    def all_kills(self) -> list[str]:
        """Every kill ever signed, in the order of their making."""
        return [name for name, signed in self.records.items() if is_control(signed, killed=True)]

    def reached_by(self, old: ControlRecord) -> set[str]:
        """The kills of version 0.1.0 whose revision is the resume's parent revision, and theirs, and so on."""
        parents, reached = {old.parent_revision}, set[str]()
        kills = {name: self.control_of(name) for name in self.kills_of_0_1_0}
        while more := {name for name, each in kills.items() if each.revision in parents} - reached:
            reached |= more
            parents |= {kills[name].parent_revision for name in more}
        return reached

    def control_in_store(self) -> list[SignedRecord]:
        """The true kills and resumes that lie somewhere in the store."""
        found = self.store.control_records()
        records = [found.slot, *found.kills.values(), *found.resumes.values(), *found.history]
        return [each for each in records if each is not None and each.hash in self.records and is_control(each)]

    def unnamed_in_store(self) -> set[str]:
        """The kills in the store that no resume in it names."""
        records = {each.hash: ControlRecord.parse(each.record) for each in self.control_in_store()}
        lifted = {name for each in records.values() for name in each.resumes}
        return {name for name, each in records.items() if each.killed} - lifted

    def revision_in(self, slot: str) -> int | None:
        """What version 0.1.0 takes for the parent revision."""
        known = self.store.known_records(slot)
        try:
            return parse_record(known[0]).revision if known else None
        except RecordMalformed:
            return None

    def highest_in_store(self, slot: str) -> int:
        """The highest revision in slot and history, of whatever record."""
        return max((parse_record(each).revision for each in self.store.known_records(slot)), default=0)

    def far_in_store(self) -> bool:
        """Whether the preference lies more than an hour ahead."""
        return self.highest_in_store("preference") - self.time() > HOUR_MS + 1_000

    def far_somewhere(self) -> bool:
        """Whether the store or a node knows a preference about an hour ahead or more."""
        known = [node.refresher._memory.highest.get("preference", 0) for node in self.nodes]
        reported = [int(each.status["revisions"].get("preference", 0)) for each in self.store.nodes()]
        return max([self.highest_in_store("preference"), *known, *reported]) - self.time() > HOUR_MS - 1_000

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def is_control(signed: SignedRecord, *, killed: bool | None = None) -> bool:
    """Whether bytes are a kill or a resume, or a given one of the two."""
    try:
        record = ControlRecord.parse(signed.record)
    except RecordMalformed:
        return False
    return killed is None or record.killed is killed


def named(name: str) -> Experiment:
    """The experiment under another name."""
    return EXPERIMENT.model_copy(update={"experiment": EXPERIMENT.experiment.model_copy(update={"name": name})})
