"""Kills, resumes and re-bases on a Redis in any state: wrong types, junk, exhausted streams, broken audits."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policy_store.backends import redis_control_scripts
from policy_store.backends.key_names import KeyNames
from policy_store.backends.redis_store import RedisStore
from policy_store.backends.store import HISTORY_LIMIT
from policy_store.decisions.governance import point_channel, publish_checkpoint
from policy_store.decisions.inspection import inspect_store
from policy_store.decisions.kill_decisions import kill, kill_state, kills_to_lift, resume
from policy_store.decisions.rebasing import rebase
from policy_store.records.audit import AuditEvent, verify_chain
from policy_store.records.channel_record import Channel
from policy_store.records.governed_record import SignedRecord
from policy_store.records.preference_record import PreferenceRecord, PreferenceTarget
from policy_store.records.store_errors import AuditBroken, StoreRefused
from tests.policy_store.control_samples import YEAR_MS, stop
from tests.policy_store.foreign_hands import RedisHands
from tests.policy_store.redis_states import SickRedis
from tests.policy_store.store_samples import (
    BLOBS,
    LEARNER,
    PEOPLE,
    TTL_MS,
    StoreBench,
    fresh_experiment,
    manifest,
    people,
    rule,
    set_preference,
)

ALPHA = PreferenceTarget.of(alpha=0.5)

LAST_ID = f"{2**64 - 1}-{2**64 - 1}"
WRITES: dict[str, Callable[[Any, str, bytes], object]] = {
    "string": lambda raw, key, junk: raw.set(key, junk),
    "list": lambda raw, key, junk: raw.rpush(key, junk),
    "hash": lambda raw, key, junk: raw.hset(key, mapping={"record": junk, "signature": junk, "key_id": junk}),
    "set": lambda raw, key, junk: raw.sadd(key, junk),
    "zset": lambda raw, key, junk: raw.zadd(key, {junk: 1}),
    "stream": lambda raw, key, junk: raw.xadd(key, {"entry": junk, "hash": junk}),
    "exhausted stream": lambda raw, key, junk: raw.xadd(key, {"entry": junk, "hash": junk}, id=LAST_ID),
}
JUNK = st.binary(max_size=12) | st.sampled_from(
    [
        *(b"{}", b"[]", b"null", b"\xff", b"[" * 5_000, b'{"sequence":' + b"9" * 4_300 + b"}"),
        *(b'{"killed":true}', b'{"killed":false,"resumes":[1,{}]}', b'{"revision":1e999}'),
        b'{"record":"x","signature":"y","key_id":"z"}',
    ]
)


def touched(keys: KeyNames) -> list[str]:
    """Every key a kill reads or writes."""
    control = [keys.slot("control"), keys.history("control"), keys.kills, keys.resumes]
    return [*control, keys.audit, keys.updates, keys.lease, keys.fence, keys.node_index, keys.proposals]


def hands_of(bench: StoreBench) -> RedisHands:
    assert isinstance(bench.hands, RedisHands)
    return bench.hands


def require_kill_and_resume(bench: StoreBench, reason: str) -> None:
    """A kill that holds, and a resume that lifts it."""
    name = kill(bench.store, people(reason=reason)).signed_by(PEOPLE).hash
    found = kill_state(bench.store, rule(bench.experiment))
    assert name in {each.hash for each in found.open_kills}
    resume(bench.store, [each.hash for each in kills_to_lift(found, [])], people())
    assert not any(each.record for each in kill_state(bench.store, rule(bench.experiment)).open_kills)


def test_no_type_of_any_key_refuses_a_kill(redis_bench: StoreBench) -> None:
    hands = hands_of(redis_bench)
    for kind, key in itertools.product(WRITES, touched(hands.keys)):
        hands.raw.delete(key)
        WRITES[kind](hands.raw, key, b"junk")
        require_kill_and_resume(redis_bench, f"{kind} at {key}")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_junk_refuses_a_kill(redis_bench: StoreBench, data: st.DataObject) -> None:
    hands = hands_of(redis_bench)
    for key in data.draw(st.sets(st.sampled_from(touched(hands.keys)), min_size=1)):
        hands.raw.delete(key)
        WRITES[data.draw(st.sampled_from(sorted(WRITES)))](hands.raw, key, data.draw(JUNK))
    require_kill_and_resume(redis_bench, data.draw(st.text(max_size=5, alphabet="abc")))


def test_what_has_the_wrong_type_is_put_aside_and_said_by_verify(redis_bench: StoreBench) -> None:
    hands = hands_of(redis_bench)
    for key in (hands.keys.audit, hands.keys.history("control")):
        hands.raw.set(key, b"what was here")
    kill(redis_bench.store, people())
    for key in (hands.keys.audit, hands.keys.history("control")):
        assert hands.raw.get(f"{key}:set-aside") == b"what was here"
    found = {each.subject: each.problem for each in inspect_store(redis_bench.store, rule(redis_bench.experiment))}
    assert found["audit"] == "audit entry 1: it does not follow the entry before it"
    assert found["control"] is None


def test_an_exhausted_audit_goes_on_after_a_kill(redis_bench: StoreBench) -> None:
    hands = hands_of(redis_bench)
    hands.raw.xadd(hands.keys.audit, {"entry": "{}", "hash": "h"}, id=LAST_ID)
    kill(redis_bench.store, people())
    set_preference(redis_bench.store, PreferenceTarget.of(alpha=0.5), people())
    actions = [each.content["action"] for each in redis_bench.store.audit_entries()]
    assert actions == ["publish control", "propose", "publish preference"]


def test_garbage_in_the_audit_breaks_its_chain_and_stops_nobody(redis_bench: StoreBench) -> None:
    """Serving nodes may append to the audit; none of them may block people's decisions by it."""
    hands = hands_of(redis_bench)
    kill(redis_bench.store, people(reason="one"))
    for junk in ({"x": "y"}, {"entry": "{}", "hash": b"\xff\xfe"}, {"entry": b"\xff", "hash": "é"}):
        hands.raw.xadd(hands.keys.audit, junk)
        require_kill_and_resume(redis_bench, "two")
        set_preference(redis_bench.store, PreferenceTarget.of(alpha=0.5), people())
    with pytest.raises(AuditBroken, match="entry 2"):
        verify_chain(redis_bench.store.audit_entries())


def test_a_crowd_that_writes_to_the_audit_does_not_hold_a_kill_up(redis_bench: StoreBench) -> None:
    hands, ended = hands_of(redis_bench), threading.Event()

    def crowd() -> None:
        while not ended.is_set():
            hands.raw.xadd(hands.keys.audit, {"entry": "{}", "hash": "h"})

    # Enough to come between reading the audit and writing it nearly every time.
    threads = [threading.Thread(target=crowd) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        record = kill(redis_bench.store, people())
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    name = record.signed_by(PEOPLE).hash
    assert [each.hash for each in kill_state(redis_bench.store, rule(redis_bench.experiment)).open_kills] == [name]
    actions = [each.content.get("action") for each in redis_bench.store.audit_entries()]
    assert actions.count("publish control") == 1


def test_a_full_redis_refuses_neither_kill_nor_resume_nor_rebase(tmp_path: Path) -> None:
    """Not even the first one on this server, which has none of the scripts loaded yet."""
    sick = SickRedis(tmp_path)
    name = fresh_experiment()
    store = RedisStore(sick.url, name)
    hands = RedisHands(store, sick.url)
    record = PreferenceRecord(experiment=name, revision=store.time_ms() + YEAR_MS, by="a", default=ALPHA)
    hands.publish_as_0_1_0("preference", record.signed_by(PEOPLE))
    event = AuditEvent(5, "ada", "publish control", {})
    with sick.full():
        require_kill_and_resume(StoreBench(store, store, lambda _: None, hands), "full")
        assert len(rebase(store, rule(name), people()).voided) == 1
        for refused in (lambda: set_preference(store, ALPHA, people()), lambda: store.append_audit("n", "a", {})):
            with pytest.raises(StoreRefused, match="memory limit"):
                refused()
        store._changes.change(redis_control_scripts.APPEND_AUDIT, event, [], [])
        assert store.preference() is None
    verify_chain(store.audit_entries())
    assert [each.content["action"] for each in store.audit_entries()] == [
        *["publish control"] * 2,
        "publish rebase",
        event.action,
    ]
    assert [each.slot for each in store.updates_since("0")] == ["control", "control", "rebase"]
    hands.close()
    store.close()
    sick.stop()


def test_no_kill_goes_with_a_key_that_was_given_an_end(redis_bench: StoreBench) -> None:
    hands = hands_of(redis_bench)
    lifted = kill(redis_bench.store, people(reason="one")).signed_by(PEOPLE).hash
    resume(redis_bench.store, [lifted], people())
    keys = [each for each in touched(hands.keys) if hands.raw.exists(each) and each != hands.keys.updates]
    assert len(keys) == 5
    for key in keys:
        hands.raw.expire(key, 60)
    kill(redis_bench.store, people(reason="two"))
    assert [hands.raw.ttl(key) for key in keys] == [-1] * 5


def test_the_history_is_bounded_and_kills_are_not(redis_bench: StoreBench) -> None:
    hands = hands_of(redis_bench)
    hands.raw.lpush(hands.keys.history("control"), *["{}"] * (HISTORY_LIMIT + 3))
    first = kill(redis_bench.store, people()).signed_by(PEOPLE)
    assert hands.raw.llen(hands.keys.history("control")) == HISTORY_LIMIT
    hands.raw.lpush(hands.keys.history("control"), *["{}"] * HISTORY_LIMIT)
    resume(redis_bench.store, ["ab" * 32], people())
    assert [each.hash for each in kill_state(redis_bench.store, rule(redis_bench.experiment)).open_kills] == [
        first.hash
    ]


def test_the_keys_of_kills_are_those_of_the_contract(redis_bench: StoreBench) -> None:
    hands = hands_of(redis_bench)
    foreign = stop(5, experiment=redis_bench.experiment)
    hands.put("control", foreign.signed)
    own = kill(redis_bench.store, people()).signed_by(PEOPLE)
    resumed = resume(redis_bench.store, [own.hash], people()).signed_by(PEOPLE)
    fields = {field.decode() for field in hands.raw.hkeys(hands.keys.kills)}
    assert own.hash in fields
    assert [field.partition(":")[0] for field in fields - {own.hash}] == ["slot"]
    found = redis_bench.store.control_records()
    assert set(found.kills.values()) == {own, foreign.signed}
    assert found.resumes == {own.hash: resumed}
    assert found.history == (resumed, own)
    assert {each.problem for each in inspect_store(redis_bench.store, rule(redis_bench.experiment))} == {None}


@pytest.mark.parametrize("kind", ["string", "list", "set", "hash", "stream"])
def test_no_junk_at_the_rebases_refuses_a_rebase(redis_bench: StoreBench, kind: str) -> None:
    hands = hands_of(redis_bench)
    publish_checkpoint(redis_bench.store, manifest(redis_bench.experiment), BLOBS, LEARNER)
    record = point_channel(redis_bench.store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)
    far = record.model_copy(update={"revision": record.revision + 10 * YEAR_MS}).signed_by(PEOPLE)
    hands.publish_as_0_1_0("channel:stable", far)
    hands.raw.lpush(hands.keys.history("channel:stable"), b"\xff", "{}", "[]")
    for key in (hands.keys.slot("rebase"), hands.keys.history("rebase")):
        WRITES[kind](hands.raw, key, b'{"revision":9,"epoch":9}')
    assert [each.signed for each in rebase(redis_bench.store, rule(redis_bench.experiment), people()).voided] == [far]
    assert redis_bench.store.channel("stable") == record.signed_by(PEOPLE)
    assert hands.raw.llen(hands.keys.history("channel:stable")) == 4, "junk is left for people to look at"
    assert redis_bench.store.rebase() is not None


def test_voided_records_leave_a_history_however_their_items_were_written(redis_bench: StoreBench) -> None:
    hands = hands_of(redis_bench)
    publish_checkpoint(redis_bench.store, manifest(redis_bench.experiment), BLOBS, LEARNER)
    record = point_channel(redis_bench.store, Channel.STABLE, "v1", people(reason="ü/"), ttl_ms=TTL_MS)
    far = record.model_copy(update={"revision": record.revision + 10 * YEAR_MS}).signed_by(PEOPLE)
    item = SignedRecord.as_item(far)
    hands.put("channel:stable", far)
    for text in (json.dumps(item, indent=1), json.dumps(item | {"more": 1}), json.dumps(item, ensure_ascii=False)):
        hands.raw.lpush(hands.keys.history("channel:stable"), text)
    rebase(redis_bench.store, rule(redis_bench.experiment), people())
    assert redis_bench.store.history("channel:stable") == [record.signed_by(PEOPLE)]
