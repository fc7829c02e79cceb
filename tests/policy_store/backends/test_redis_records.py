"""Reading signed records from a Redis that others write to as well: an unreadable one does not hide the others."""

from __future__ import annotations

import json

import pytest

from policy_store.backends.redis_store import RedisStore
from policy_store.decisions.kill_decisions import kill
from policy_store.records.store_errors import RecordMalformed, StoreRefused
from tests.policy_store.control_samples import go, stop
from tests.policy_store.foreign_hands import RedisHands
from tests.policy_store.store_samples import PEOPLE, StoreBench, people


def hands_of(bench: StoreBench) -> RedisHands:
    assert isinstance(bench.hands, RedisHands)
    return bench.hands


def test_a_history_written_by_hand_is_malformed_but_hides_nothing(redis_bench: StoreBench) -> None:
    hands, store = hands_of(redis_bench), redis_bench.store
    own = kill(store, people()).signed_by(PEOPLE)
    hands.raw.lpush(hands.keys.history("control"), json.dumps({"record": 5, "signature": "", "key_id": ""}))
    with pytest.raises(RecordMalformed, match="history of control"):
        store.history("control")
    assert store.known_records("control") == [own]
    found = store.control_records()
    assert (found.history, found.faults) == ((None, own), ())


def test_the_known_records_are_slot_and_history_newest_first(redis_bench: StoreBench) -> None:
    hands, store = hands_of(redis_bench), redis_bench.store
    first, second, foreign = (stop(number).signed for number in (1, 2, 3))
    for signed in (first, second):
        hands.publish_as_0_1_0("control", signed)
    assert store.known_records("control") == [second, first]
    hands.put("control", foreign)
    assert store.known_records("control") == [foreign, second, first]
    hands.raw.delete(hands.keys.slot("control"))
    assert store.known_records("control") == [second, first]
    hands.raw.set(hands.keys.slot("control"), "no hash")
    assert store.known_records("control") == [second, first]


def test_what_may_not_be_read_is_refused_and_not_taken_for_nothing(redis_bench: StoreBench, redis_url: str) -> None:
    hands = hands_of(redis_bench)
    kept = stop(5, experiment=redis_bench.experiment).signed
    hands.publish_as_0_1_0("control", kept)
    allowed = [f"~{hands.keys.slot('control')}", f"~{hands.keys.history('control')}"]
    hands.raw.execute_command("ACL", "SETUSER", "narrow", "reset", "on", ">PASSWORD", *allowed, "+@all")
    narrow = RedisStore(redis_url.replace("redis://", "redis://narrow:PASSWORD@"), redis_bench.experiment)
    with pytest.raises(StoreRefused, match="preference"):
        narrow.known_records("preference")
    found = narrow.control_records()
    assert (found.slot, found.history) == (kept, (kept,)), "a kill in the slot counts all the same"
    assert [fault.partition(" ")[0] for fault in found.faults] == ["kills", "resumes"]
    narrow.close()
    hands.raw.execute_command("ACL", "DELUSER", "narrow")


def test_the_bytes_of_a_slot_are_what_lies_there(redis_bench: StoreBench) -> None:
    hands, store = hands_of(redis_bench), redis_bench.store
    assert store.slot_bytes("preference") == b""
    hands.raw.hset(hands.keys.slot("preference"), "record", b"\xff")
    assert store.slot_bytes("preference") == b"\xff"
    hands.raw.delete(hands.keys.slot("preference"))
    hands.raw.set(hands.keys.slot("preference"), "no hash")
    assert store.slot_bytes("preference") == b""


@pytest.mark.parametrize("place", ["control", "kills", "resumes", "history:control"])
@pytest.mark.parametrize("junk", ["wrong type", "junk content"])
def test_each_unreadable_place_is_named_and_the_others_are_read(redis_bench: StoreBench, place: str, junk: str) -> None:
    hands, store = hands_of(redis_bench), redis_bench.store
    control, named, kept = stop(5), stop(6), stop(7)
    resume = go(8, lifts=[named.hash])
    hands.publish_as_0_1_0("control", control.signed)
    hands.raw.hset(hands.keys.kills, kept.hash, json.dumps(kept.signed.as_item()))
    hands.raw.hset(hands.keys.resumes, named.hash, json.dumps(resume.signed.as_item()))
    whole = store.control_records()
    assert (whole.slot, whole.kills, whole.resumes) == (
        control.signed,
        {kept.hash: kept.signed},
        {named.hash: resume.signed},
    )
    assert (whole.history, whole.faults) == ((control.signed,), ())

    key = hands.keys.slot(place)
    if junk == "wrong type":
        hands.raw.delete(key)
        hands.raw.set(key, "x")
    elif place == "history:control":
        hands.raw.lpush(key, "x")
    else:
        hands.raw.hset(key, "record" if place == "control" else "junk", b"\xff")
    found = store.control_records()
    readable = {
        "control": found.slot is not None and found.slot == control.signed,
        "kills": found.kills.get(kept.hash) == kept.signed,
        "resumes": found.resumes.get(named.hash) == resume.signed,
        "history:control": control.signed in found.history,
    }
    lost = {place} if junk == "wrong type" or place == "control" else set()
    assert {name for name, read in readable.items() if not read} == lost
    # A slot whose bytes were changed is a record whose signature will not hold; a history may hold anything.
    expected = junk == "wrong type" or place in ("kills", "resumes")
    assert bool(found.faults) is expected
