"""A kill is never refused, and a resume lifts exactly the kills it names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.errors import TrimtabError
from policy_store.backends.memory_store import MemoryStore
from policy_store.backends.redis_store import RedisStore
from policy_store.backends.store import NodeStatus, PolicyStore
from policy_store.decisions.control_reading import ControlReader
from policy_store.decisions.kill_decisions import KillState, OpenKill, kill, kill_state, kills_to_lift, resume
from policy_store.records.control_record import ControlRecord
from policy_store.records.governed_record import SignedRecord
from policy_store.records.revision_rules import MAX_REVISION
from policy_store.records.store_errors import RecordMalformed, StoreRefused, StoreUnreachable, UnknownKill
from tests.components.free_port import free_port
from tests.policy_store.control_samples import YEAR_MS, go, odd_stop, stop
from tests.policy_store.foreign_hands import MemoryHands
from tests.policy_store.store_samples import LEARNER, NOW, PEOPLE, STRANGER, StoreBench, people, rule

X = "homefeed"


def state(bench_or_store: StoreBench | PolicyStore) -> KillState:
    store = bench_or_store.store if isinstance(bench_or_store, StoreBench) else bench_or_store
    return kill_state(store, rule(store.experiment))


def open_hashes(bench_or_store: StoreBench | PolicyStore) -> set[str]:
    return {each.hash for each in state(bench_or_store).open_kills}


def signed(record: ControlRecord) -> SignedRecord:
    return record.signed_by(PEOPLE)


def test_kill_and_resume(bench: StoreBench) -> None:
    assert state(bench).killed is False
    first, second = kill(bench.store, people(reason="one")), kill(bench.second, people(reason="two"))
    assert state(bench).killed is True
    assert open_hashes(bench) == {signed(first).hash, signed(second).hash}
    resume(bench.store, [signed(first).hash], people())
    assert open_hashes(bench) == {signed(second).hash}
    record = resume(bench.store, [each.hash for each in kills_to_lift(state(bench), [])], people())
    assert record.resumes == (signed(second).hash,)
    assert state(bench).killed is False
    assert state(bench).lifted == {signed(first).hash, signed(second).hash}
    assert bench.second.control() == signed(record)
    assert [each.slot for each in bench.second.updates_since("0")] == ["control"] * 4


def test_a_resume_of_0_1_0_lifts_only_kills_of_0_1_0(bench: StoreBench) -> None:
    def resume_as_0_1_0() -> None:
        held = bench.store.control()
        assert held is not None
        parent = ControlRecord.parse(held.record).revision
        bench.hands.publish_as_0_1_0("control", go(parent + 1, parent, experiment=bench.store.experiment).signed)

    old = stop(5, experiment=bench.store.experiment).signed
    bench.hands.publish_as_0_1_0("control", old)
    resume_as_0_1_0()
    assert state(bench).killed is False
    new = signed(kill(bench.store, people()))
    resume_as_0_1_0()
    assert open_hashes(bench) == {new.hash}
    backup = bench.hands.backup()
    resume(bench.store, [new.hash], people())
    for replayed in (old, new):
        bench.hands.put("control", replayed)
        assert state(bench).killed is False
        # Also after it was replaced, which keeps what a client wrote there.
        resume(bench.store, [new.hash], people())
        assert state(bench).killed is False
    bench.hands.restore(backup)
    assert open_hashes(bench) == {new.hash}


@pytest.mark.parametrize(
    "odd", [{"resumes": []}, {"reason": "x" * 9_000}, {"until": "noon"}, {"revision": -1, "by": 5}]
)
def test_a_kill_that_breaks_the_rules_for_records_holds_until_a_resume_names_it(
    bench: StoreBench, odd: dict[str, Any]
) -> None:
    written = odd_stop(bench.store.experiment, **odd)
    bench.hands.put("control", written)
    assert open_hashes(bench) == {written.hash}
    # What replaces it in its slot hides it no more than any other.
    second = signed(kill(bench.store, people()))
    assert open_hashes(bench) == {written.hash, second.hash}
    assert kills_to_lift(state(bench), [])[0].describe()
    resume(bench.store, [written.hash], people())
    assert open_hashes(bench) == {second.hash}
    bench.hands.put("control", odd_stop(bench.store.experiment, LEARNER, **odd))
    bench.hands.put("control", odd_stop("elsewhere", **odd))
    assert open_hashes(bench) - {odd_stop("elsewhere", **odd).hash} == {second.hash}


def test_an_odd_kill_lifts_nothing(bench: StoreBench) -> None:
    first = signed(kill(bench.store, people()))
    odd = odd_stop(bench.store.experiment, resumes=[first.hash])
    bench.hands.put("control", odd)
    assert open_hashes(bench) == {first.hash, odd.hash}
    second = signed(kill(bench.store, people(reason="over it")))
    assert open_hashes(bench) == {first.hash, odd.hash, second.hash}
    assert not bench.store.is_resumed(first.hash)


def test_a_kill_between_reading_and_signing_is_not_named_and_holds(bench: StoreBench) -> None:
    kill(bench.store, people(reason="one"))
    read = kills_to_lift(state(bench), [])
    between = kill(bench.second, people(reason="two"))
    resume(bench.store, [each.hash for each in read], people())
    assert open_hashes(bench) == {signed(between).hash}


@pytest.mark.parametrize("off_ms", [10 * YEAR_MS, -10 * YEAR_MS])
def test_no_clock_refuses_a_kill_or_a_resume(bench: StoreBench, off_ms: int) -> None:
    wrong = people(bench.store.time_ms() + off_ms)
    record = kill(bench.store, wrong)
    assert abs(record.revision - bench.store.time_ms()) < 60_000
    resume(bench.store, [signed(record).hash], wrong)
    assert state(bench).killed is False


@given(st.lists(st.integers(1, MAX_REVISION), min_size=1, max_size=3), st.integers(1, 3))
def test_no_revision_that_lies_there_refuses_a_kill(revisions: list[int], times: int) -> None:
    hands = MemoryHands(MemoryStore(X, clock=lambda: NOW))
    for revision in revisions:
        hands.publish_as_0_1_0("control", go(revision, experiment=X).signed)
    for _ in range(times):
        record = kill(hands.store, people(NOW))
        assert signed(record).hash in open_hashes(hands.store)
        assert record.revision > max(revisions) or record.revision >= MAX_REVISION - times
        resume(hands.store, [signed(record).hash], people(NOW))
        assert state(hands.store).killed is False


@pytest.mark.parametrize("revision", [1, NOW, NOW + 10 * YEAR_MS, MAX_REVISION])
def test_a_kill_written_straight_into_the_slot_is_found_lifted_and_kept(bench: StoreBench, revision: int) -> None:
    hands = bench.hands
    foreign = stop(revision, experiment=bench.experiment)
    hands.put("control", foreign.signed)
    assert open_hashes(bench) == {foreign.hash}
    own = kill(bench.store, people())
    assert open_hashes(bench) == {foreign.hash, signed(own).hash}, "it goes not with what replaces it in the slot"
    resume(bench.store, [signed(own).hash], people())
    assert open_hashes(bench) == {foreign.hash}
    resume(bench.store, [foreign.hash], people())
    hands.put("control", foreign.signed)
    assert state(bench).killed is False, "a replayed kill does not beat a later resume of it"


def test_a_resume_written_straight_into_the_slot_is_kept(bench: StoreBench) -> None:
    hands = bench.hands
    record = kill(bench.store, people())
    hands.put("control", go(5, lifts=[signed(record).hash], experiment=bench.experiment).signed)
    assert state(bench).killed is False
    other = kill(bench.store, people(reason="another"))
    assert open_hashes(bench) == {signed(other).hash}


def test_kills_that_only_nodes_know_are_lifted_too(bench: StoreBench) -> None:
    lost, forged = stop(5, experiment=bench.experiment), stop(6, experiment=bench.experiment, key=STRANGER)
    bare = "ab" * 32
    kills: dict[str, Any] = {each.hash: each.signed.as_item() for each in (lost, forged)}
    bench.store.heartbeat("n1", {"open_kills": kills | {bare: None}}, 60)
    bench.store.heartbeat("n2", {"open_kills": {lost.hash: lost.signed.as_item()}}, 60)
    found = {each.hash: each for each in state(bench).open_kills}
    assert state(bench).killed is True
    assert found[lost.hash] == OpenKill(lost.hash, lost.record, ("node n1", "node n2"))
    assert found[forged.hash].record is found[bare].record is None
    assert [each.hash for each in kills_to_lift(state(bench), [])] == [lost.hash], "hashes nobody signed need a name"
    assert [each.hash for each in kills_to_lift(state(bench), [bare, bare])] == [bare]
    assert "known to node n1" in found[bare].describe()
    assert found[bare].as_dict() == {"hash": bare, "known_to": ["node n1"]}


def test_a_node_that_has_not_looked_since_the_resume_is_not_waited_for(bench: StoreBench) -> None:
    stopped = signed(kill(bench.store, people()))
    bench.store.heartbeat("n1", {"open_kills": {stopped.hash: stopped.as_item()}}, 60)
    assert [each.known_to for each in state(bench).open_kills] == [("the store", "node n1")]
    resume(bench.store, [stopped.hash], people())
    assert state(bench).killed is False


def test_hashes_alone_leave_open_whether_the_fleet_is_killed(bench: StoreBench) -> None:
    bench.store.heartbeat("n1", {"open_kills": {"ab" * 32: None}}, 60)
    assert state(bench).killed is None


def test_a_hash_that_nobody_knows_is_refused(bench: StoreBench) -> None:
    lifted = signed(kill(bench.store, people())).hash
    resume(bench.store, [lifted], people())
    assert [each.hash for each in kills_to_lift(state(bench), [lifted])] == [lifted]
    with pytest.raises(UnknownKill, match="cd" * 32):
        kills_to_lift(state(bench), ["cd" * 32])
    with pytest.raises(RecordMalformed, match="at least one kill"):
        resume(bench.store, [], people())
    with pytest.raises(RecordMalformed, match="resumes"):
        resume(bench.store, ["not a hash"], people())


def test_a_kill_that_nobody_may_believe_is_unknown(bench: StoreBench) -> None:
    bench.store.publish_control(stop(5, experiment=bench.experiment, key=LEARNER).signed)
    found = state(bench)
    assert found.killed is None
    assert "may not sign" in found.faults[0]


class RefusesReading(MemoryStore):
    """A store of which only the kills can be read."""

    error: Exception = StoreRefused("NOPERM", fix="check the ACL")

    def nodes(self) -> list[NodeStatus]:
        raise self.error

    def time_ms(self) -> int:
        raise self.error

    def control(self) -> SignedRecord | None:
        raise self.error

    def is_resumed(self, kill_hash: str) -> bool:
        raise self.error

    def known_records(self, slot: str) -> list[SignedRecord]:
        raise self.error


@pytest.mark.parametrize("error", [StoreRefused, StoreUnreachable])
def test_what_cannot_be_read_does_not_stop_a_kill(error: type[TrimtabError]) -> None:
    """The read is not permitted, or there is so much junk that it times out."""
    store = RefusesReading(X, clock=lambda: NOW)
    store.error = error("no answer", fix="look at Redis")
    record = kill(store, people(NOW + 5))
    assert record.revision == NOW + 6
    reader = ControlReader(rule(X))
    reader.read(store)
    assert [each.signed for each in reader.latch.open_kills] == [signed(record)]


def test_a_store_that_does_not_answer_is_an_error() -> None:
    store = RedisStore(f"redis://127.0.0.1:{free_port()}/0", X)
    for act in (lambda: kill(store, people()), lambda: state(store), lambda: resume(store, ["ab" * 32], people())):
        with pytest.raises(StoreUnreachable):
            act()
