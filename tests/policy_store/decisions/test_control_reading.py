"""Which kills and resumes of a store a reader accepts, and what it remembers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.control_reading import ControlReader
from policy_store.decisions.verification import TrustRule
from policy_store.records.control_record import ControlRecords
from policy_store.records.signing import TrustedKeys
from policy_store.records.store_errors import SignatureInvalid
from tests.policy_store.control_samples import go, stop
from tests.policy_store.foreign_hands import MemoryHands
from tests.policy_store.store_samples import LEARNER, PEOPLE, STRANGER, rule

X = "homefeed"


@pytest.fixture
def hands() -> MemoryHands:
    return MemoryHands(MemoryStore(X))


def reader() -> ControlReader:
    return ControlReader(rule(X))


@pytest.mark.parametrize("place", ["slot", "kills", "history"])
def test_a_kill_counts_wherever_it_lies(hands: MemoryHands, place: str) -> None:
    kill = stop(5)
    contents = hands.store._contents
    if place == "slot":
        hands.put("control", kill.signed)
    elif place == "kills":
        contents.kills["any field"] = kill.signed
    else:
        contents.histories["control"] = [kill.signed]
    found = reader()
    assert found.read(hands.store) == ()
    assert found.latch.killed


@pytest.mark.parametrize("place", ["slot", "resumes", "history"])
def test_a_resume_counts_wherever_it_lies(hands: MemoryHands, place: str) -> None:
    kill = stop(5)
    resume = go(1, lifts=[kill.hash])
    contents = hands.store._contents
    contents.kills[kill.hash] = kill.signed
    if place == "slot":
        hands.put("control", resume.signed)
    elif place == "resumes":
        contents.resumes[kill.hash] = resume.signed
    else:
        contents.histories["control"] = [resume.signed]
    found = reader()
    assert found.read(hands.store) == ()
    assert not found.latch.killed


def test_a_resume_of_0_1_0_put_under_a_kills_hash_lifts_nothing_by_that(hands: MemoryHands) -> None:
    old, kill = go(10, 9), stop(700)
    hands.store._contents.kills[kill.hash] = kill.signed
    hands.store._contents.resumes[kill.hash] = old.signed
    found = reader()
    found.read(hands.store)
    assert found.latch.killed


@pytest.mark.parametrize("key", [LEARNER, STRANGER])
def test_a_false_kill_is_a_fault_in_words_and_kills_nobody(hands: MemoryHands, key: object) -> None:
    forged = stop(5, key=key)  # type: ignore[arg-type]
    hands.put("control", forged.signed)
    true = stop(6)
    hands.store._contents.kills |= {forged.hash: forged.signed, true.hash: true.signed}
    found = reader()
    [fault] = found.read(hands.store)
    assert fault.startswith("control: ")
    assert [each.hash for each in found.latch.open_kills] == [true.hash], "one false record hides no other"


def test_records_of_retired_keys_are_no_fault_where_nothing_depends_on_them(hands: MemoryHands) -> None:
    retired, resume = stop(5, key=STRANGER), go(6, lifts=[stop(5, key=STRANGER).hash])
    contents = hands.store._contents
    contents.kills[retired.hash] = retired.signed
    contents.resumes[retired.hash] = resume.signed
    contents.histories["control"] = [go(3, key=STRANGER).signed, stop(2, key=STRANGER).signed]
    assert reader().read(hands.store) == ()


def test_a_kill_that_was_changed_after_signing_kills_nobody(hands: MemoryHands) -> None:
    signed = stop(5).signed
    hands.put("control", replace(signed, record=signed.record.replace(b'"ada"', b'"eve"')))
    found = reader()
    assert "does not match" in found.read(hands.store)[0]
    assert not found.latch.killed


def test_a_reader_remembers_what_a_store_has_lost(hands: MemoryHands) -> None:
    first, second = stop(5), stop(6)
    found = reader()
    hands.put("control", first.signed)
    found.read(hands.store)
    hands.empty()
    found.read(hands.store)
    assert found.latch.killed
    hands.put("control", go(1, lifts=[first.hash, second.hash]).signed)
    found.read(hands.store)
    hands.empty()
    for kill in (first, second):
        hands.put("control", kill.signed)
        found.read(hands.store)
        assert not found.latch.killed


def test_an_earlier_life_is_verified_again(hands: MemoryHands) -> None:
    kill, lifted = stop(5), stop(6)
    resume = go(7, 6)
    again = reader()
    again.recall((kill.signed, lifted.signed), {resume.signed: (lifted.hash,)})
    assert [each.hash for each in again.latch.open_kills] == [kill.hash]
    strict = ControlReader(TrustRule(TrustedKeys.of(LEARNER), X, "ab" * 32))
    with pytest.raises(SignatureInvalid):
        strict.recall((kill.signed,), {resume.signed: (kill.hash,)})
    assert not strict.latch.killed
    assert strict.latch.lifted == frozenset()


def test_what_cannot_be_recalled_keeps_nothing_else_back() -> None:
    torn = replace(stop(5).signed, signature=bytes(64))
    again = reader()
    with pytest.raises(SignatureInvalid):
        again.recall((torn, stop(6).signed), {torn: ()})
    assert again.latch.killed


def test_faults_of_the_store_are_passed_on() -> None:
    class Torn(MemoryStore):
        def control_records(self) -> ControlRecords:
            return ControlRecords(kills={"x": stop(5).signed}, faults=("resumes cannot be read: WRONGTYPE",))

    found = reader()
    assert found.read(Torn(X)) == ("resumes cannot be read: WRONGTYPE",)
    assert found.latch.killed
    assert PEOPLE.key_id == found.latch.open_kills[0].signed.key_id
