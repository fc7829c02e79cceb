"""A node's memory of kills: what it has learnt stays in force, whatever happens to the store and the node."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from event_schemas.errors import TrimtabError
from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.kill_decisions import kill_state
from policy_store.decisions.verification import TrustRule
from policy_store.records.control_record import ControlRecord, ControlRecords
from policy_store.records.governed_record import SignedRecord
from policy_store.records.revision_rules import MAX_REVISION
from policy_store.records.store_errors import RecordMalformed, SignatureInvalid, StoreRefused, StoreUnreachable
from serving_agent.pickup.kill_watch import KillWatch
from serving_agent.pickup.node_memory import NodeMemory
from serving_agent.pickup.signed_json import encode_record
from serving_agent.pickup.snapshot_disk import FILE_NAME, SavedSnapshot, SnapshotDisk
from tests.policy_store.control_samples import YEAR_MS, go, stop
from tests.policy_store.foreign_hands import MemoryHands
from tests.serving_samples import GOVERNANCE_KEY, NOW, TRUSTED, StoreDesk, serving_experiment

EXPERIMENT = serving_experiment()
RULE = TrustRule(TRUSTED, EXPERIMENT.name, EXPERIMENT.action_space.digest)


def killing(revision: int, parent: int | None = None, reason: str = "") -> SignedRecord:
    return stop(revision, parent, reason=reason, key=GOVERNANCE_KEY).signed


def resuming(revision: int, parent: int | None = None, *lifts: str) -> SignedRecord:
    return go(revision, parent, lifts, key=GOVERNANCE_KEY).signed


class Bench:
    def __init__(self) -> None:
        self.store = MemoryStore(EXPERIMENT.name)
        self.hands = MemoryHands(self.store)
        self.desk = StoreDesk(EXPERIMENT, self.store)
        self.watch = KillWatch(RULE)

    def poll(self) -> bool:
        self.watch.poll(self.store)
        return self.watch.killed

    def restart(self, *, with_disk: bool) -> None:
        saved = SavedSnapshot(memory=NodeMemory(kills=self.watch.kills, resumes=self.watch.resumes))
        self.watch = KillWatch(RULE)
        if with_disk:
            self.watch.restore(saved)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_follows_kills_and_resumes(bench: Bench) -> None:
    assert not bench.poll()
    for reason in ("one", "two"):
        signed = bench.desk.kill(reason)
        assert bench.watch.poll(bench.store)
        assert bench.watch.killed
        assert bench.watch.open_kills == {signed.hash: signed}
        assert not bench.watch.poll(bench.store), "what is known is no news"
        bench.desk.resume()
        assert not bench.poll()
        assert bench.watch.open_kills == {}


@pytest.mark.parametrize("revision", [1, 5, NOW + 10 * YEAR_MS, MAX_REVISION])
def test_obeys_a_kill_of_any_revision_in_the_slot(bench: Bench, revision: int) -> None:
    """From an independent client, with a revision lower than, equal to or far above the one before."""
    bench.hands.publish_as_0_1_0("control", killing(4))
    bench.hands.publish_as_0_1_0("control", resuming(5, 4))
    assert not bench.poll()
    bench.hands.put("control", killing(revision, reason="another client"))
    assert bench.poll()


@pytest.mark.parametrize("with_disk", [True, False])
def test_remembers_a_kill_over_an_emptied_store(bench: Bench, with_disk: bool) -> None:
    signed = bench.desk.kill()
    bench.poll()
    bench.hands.empty()
    assert bench.poll()
    bench.restart(with_disk=with_disk)
    assert bench.poll() is with_disk, "only the disk could know"
    if with_disk:
        bench.desk.resume(signed.hash)
        assert not bench.poll()


@pytest.mark.parametrize("with_disk", [True, False])
def test_a_replayed_kill_does_not_beat_its_resume(bench: Bench, with_disk: bool) -> None:
    signed = bench.desk.kill()
    bench.desk.resume()
    bench.hands.put("control", signed)
    bench.restart(with_disk=with_disk)
    assert not bench.poll()
    bench.poll()
    bench.restart(with_disk=True)
    bench.hands.empty()
    bench.hands.put("control", signed)
    assert not bench.poll(), "known from the disk, though the store has lost the resume"


@pytest.mark.parametrize("first_seen", ["step by step", "all at once"])
@pytest.mark.parametrize(
    ("history", "killed"),
    [("k", True), ("kr", False), ("kkr", False), ("rk", True), ("krk", True), ("krkr", False), ("rr", False)],
)
def test_a_history_of_0_1_0_is_understood(bench: Bench, history: str, killed: bool, first_seen: str) -> None:
    parent = None
    for revision, each in enumerate(history, start=7):
        signed = killing(revision, parent) if each == "k" else resuming(revision, parent)
        bench.hands.publish_as_0_1_0("control", signed)
        parent = revision
        if first_seen == "step by step":
            assert bench.poll() is (each == "k")
    assert bench.poll() is killed
    bench.restart(with_disk=True)
    assert bench.poll() is killed


@pytest.mark.parametrize("killed", [True, False])
def test_a_snapshot_of_0_1_0_holds_the_newest_record_only(bench: Bench, killed: bool) -> None:
    kill, resume = killing(7), resuming(8, 7)
    memory = NodeMemory(revisions={"control": 7 if killed else 8})
    saved = SavedSnapshot(control=kill if killed else resume, memory=memory, certain=False)
    bench.watch.restore(saved)
    assert bench.watch.killed is killed
    for signed in (kill, resume):
        bench.hands.publish_as_0_1_0("control", signed)
    assert not bench.poll(), "the store's history shows what the resume lifts"


def test_a_junk_control_on_the_disk_is_an_error_and_hides_no_kill(bench: Bench) -> None:
    junk = SignedRecord(b"?", b"", "governance/tests")
    with pytest.raises(RecordMalformed):
        bench.watch.restore(SavedSnapshot(control=junk, memory=NodeMemory(kills=(killing(5),))))
    assert bench.watch.killed


def test_each_record_on_the_disk_stands_for_itself(bench: Bench) -> None:
    torn, true = replace(killing(5), signature=bytes(64)), killing(6)
    with pytest.raises(SignatureInvalid):
        bench.watch.restore(SavedSnapshot(memory=NodeMemory(kills=(torn, true))))
    assert set(bench.watch.open_kills) == {true.hash}


@pytest.mark.parametrize("certain", [True, False])
def test_a_kill_that_does_not_verify_may_be_a_damaged_one_where_no_hash_was_saved(bench: Bench, certain: bool) -> None:
    torn = replace(killing(5), signature=bytes(64))
    with pytest.raises(SignatureInvalid):
        bench.watch.restore(SavedSnapshot(control=torn, certain=certain))
    assert bench.watch.killed is not certain
    assert not bench.poll()


@given(st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_damage_to_a_file_of_an_older_version_lets_a_killed_node_go_on(tmp_path: Path, data: st.DataObject) -> None:
    """Only this file knows the kill, and it has no hash; 0.1.0 saved it in one place, another version in another."""
    signed, place = encode_record(killing(7)), data.draw(st.sampled_from(["control", "kills"]))
    content = {"format": 1, "channels": {}, "preference": None, "control": None, "revisions": {"preference": 5}}
    saved = json.dumps(content | ({"control": signed} if place == "control" else {"kills": [signed]})).encode()
    at = data.draw(st.integers(0, len(saved) - 1))
    flipped = saved[:at] + bytes([saved[at] ^ (1 << data.draw(st.integers(0, 7)))]) + saved[at + 1 :]
    (tmp_path / FILE_NAME).write_bytes(data.draw(st.sampled_from([flipped, saved[:at], saved])))
    loaded, watch = SnapshotDisk(tmp_path).load(), KillWatch(RULE)
    assert loaded is not None
    with suppress(TrimtabError):
        watch.restore(loaded)
    assert watch.killed


def test_a_node_that_may_have_forgotten_a_kill_is_killed_until_the_store_has_answered(bench: Bench) -> None:
    class Away(MemoryStore):
        error: Exception = StoreRefused("NOPERM", fix="check the ACL")

        def control_records(self) -> ControlRecords:
            raise self.error

    away = Away(EXPERIMENT.name)
    bench.watch.restore(SavedSnapshot(forgotten=True))
    assert bench.watch.killed
    bench.watch.poll(away)
    away.error = StoreUnreachable("gone", fix="start it")
    with pytest.raises(StoreUnreachable):
        bench.watch.poll(away)
    assert bench.watch.killed
    assert bench.watch.poll(bench.store), "that it knows again is news, to be saved"
    assert not bench.watch.killed
    bench.watch.restore(SavedSnapshot(forgotten=True))
    bench.desk.kill()
    assert bench.poll()


def test_what_cannot_be_believed_is_said_and_hides_nothing(bench: Bench) -> None:
    bench.hands.put("control", replace(killing(5), signature=bytes(64)))
    assert bench.watch.poll(bench.store)
    assert not bench.watch.killed
    assert bench.watch.fault is not None
    assert "does not match" in bench.watch.fault
    bench.desk.kill()
    assert bench.poll()
    [false] = kill_state(bench.store, RULE).open_kills[1:]
    assert (false.record, false.known_to) == (None, ("the store",))
    bench.desk.resume(*bench.watch.open_kills, false.hash)
    assert not bench.poll()
    assert bench.watch.fault is None


def test_a_store_that_refuses_or_is_away_changes_nothing(bench: Bench) -> None:
    class Away(MemoryStore):
        error: Exception = StoreRefused("NOPERM", fix="check the ACL")

        def control_records(self) -> ControlRecords:
            raise self.error

    bench.desk.kill()
    bench.poll()
    away = Away(EXPERIMENT.name)
    assert bench.watch.poll(away)
    assert "NOPERM" in str(bench.watch.fault)
    away.error = StoreUnreachable("gone", fix="start it")
    with pytest.raises(StoreUnreachable):
        bench.watch.poll(away)
    assert bench.watch.killed


def test_what_a_node_of_0_1_0_would_obey_is_a_kill_in_its_form(bench: Bench) -> None:
    signed = bench.desk.kill()
    assert b"resumes" not in signed.record
    assert bench.store.control() == signed
    assert ControlRecord.parse(signed.record).revision > NOW
