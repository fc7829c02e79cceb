"""What is specific to Redis: key layout, hostile content, restarts, restored backups, big blobs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from event_schemas.instant import wall_clock_ms
from event_schemas.units import HOUR_MS
from policy_store.backends.key_names import KeyNames
from policy_store.backends.redis_store import RedisStore
from policy_store.backends.store import PolicyStore
from policy_store.decisions.governance import point_channel, propose_preference, publish_checkpoint
from policy_store.decisions.verified_reading import read_channel_verified
from policy_store.records.channel_record import Channel
from policy_store.records.checkpoint_record import describe_blobs
from policy_store.records.preference_record import PreferenceTarget
from policy_store.records.revision_rules import ReaderMemory
from policy_store.records.store_errors import (
    LeaseHeld,
    LeaseLost,
    RecordMalformed,
    RevisionRegressed,
    SignatureInvalid,
    StoreUnreachable,
    UnknownCheckpoint,
)
from tests.components.redis_server import RedisServer
from tests.policy_store.store_samples import (
    BLOBS,
    LEARNER,
    NOW,
    TTL_MS,
    checkpoint,
    fresh_experiment,
    manifest,
    people,
    rule,
    set_preference,
)

ALPHA = PreferenceTarget.of(alpha=0.3)
YEAR_MS = 365 * 24 * HOUR_MS


@pytest.fixture
def raw(redis_url: str) -> Iterator[Any]:
    client = redis.Redis.from_url(redis_url)
    yield client
    client.close()


@pytest.fixture
def store(redis_url: str) -> Iterator[RedisStore]:
    made = RedisStore(redis_url, fresh_experiment())
    yield made
    made.close()


@pytest.fixture
def keys(store: RedisStore) -> KeyNames:
    return KeyNames(store.experiment)


def test_it_is_a_policy_store(store: RedisStore) -> None:
    typed: PolicyStore = store
    assert typed.experiment == store.experiment


def test_the_keys_are_those_of_the_contract(store: RedisStore, keys: KeyNames, raw: Any) -> None:
    publish_checkpoint(store, manifest(store.experiment), BLOBS, LEARNER)
    point_channel(store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)
    propose_preference(store, "p-1", None, ALPHA, people())
    store.heartbeat("n1", {}, ttl_s=5)
    store.acquire_lease("a", ttl_s=5)
    checkpoint_fields = {field.decode() for field in raw.hkeys(keys.checkpoint("v1"))}
    assert checkpoint_fields == {"manifest", "signature", "key_id", *BLOBS}
    assert {field.decode() for field in raw.hkeys(keys.slot("channel:stable"))} == {"record", "signature", "key_id"}
    assert raw.type(keys.audit) == raw.type(keys.updates) == b"stream"
    assert raw.hkeys(keys.proposals) == [b"p-1"]
    assert raw.hget(keys.lease, "owner") == b"a"
    assert 0 < raw.pttl(keys.node("n1")) <= 5_000
    assert 0 < raw.pttl(keys.lease) <= 5_000
    assert raw.ttl(keys.checkpoint("v1")) == -1
    assert not raw.keys(keys.upload("*"))


def test_experiments_do_not_see_each_other(redis_url: str, store: RedisStore) -> None:
    set_preference(store, ALPHA, people())
    assert RedisStore(redis_url, fresh_experiment()).preference() is None


def test_a_blob_swapped_in_redis_is_noticed(store: RedisStore, keys: KeyNames, raw: Any) -> None:
    publish_checkpoint(store, manifest(store.experiment), BLOBS, LEARNER)
    point_channel(store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)
    raw.hset(keys.checkpoint("v1"), "policy.onnx", b"evil")
    with pytest.raises(SignatureInvalid, match=r"policy\.onnx"):
        read_channel_verified(store, Channel.STABLE, rule(store.experiment), now_ms=wall_clock_ms())


@pytest.mark.parametrize("field", ["manifest", "signature", "key_id"])
def test_a_checkpoint_without_one_of_its_parts_is_malformed(
    store: RedisStore, keys: KeyNames, raw: Any, field: str
) -> None:
    publish_checkpoint(store, manifest(store.experiment), BLOBS, LEARNER)
    raw.hdel(keys.checkpoint("v1"), field)
    with pytest.raises(RecordMalformed, match="v1"):
        store.get_checkpoint("v1")


@pytest.mark.parametrize(
    "content",
    [
        {"record": "?"},
        {"record": b"\xff", "signature": "", "key_id": ""},
        {"record": "{}", "signature": "!", "key_id": "x"},
    ],
)
def test_a_slot_written_by_hand_is_an_error_for_reader_and_writer(
    store: RedisStore, keys: KeyNames, raw: Any, content: dict[str, str]
) -> None:
    publish_checkpoint(store, manifest(store.experiment), BLOBS, LEARNER)
    raw.hset(keys.slot("channel:stable"), mapping=content)
    with pytest.raises((RecordMalformed, SignatureInvalid)):
        read_channel_verified(store, Channel.STABLE, rule(store.experiment), now_ms=wall_clock_ms())
    with pytest.raises((RecordMalformed, SignatureInvalid)):
        point_channel(store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)


@pytest.mark.parametrize("record", ["?", '{"revision":1e999}', '{"revision":0}', '{"revision":"5"}', "[]"])
def test_a_writer_does_not_publish_over_a_record_the_script_cannot_read(
    store: RedisStore, keys: KeyNames, raw: Any, record: str
) -> None:
    held = set_preference(store, ALPHA, people())
    proposal = propose_preference(store, "p-1", None, ALPHA, people())
    raw.hset(keys.slot("preference"), "record", record)
    newer = held.model_copy(update={"revision": held.revision + 1, "parent_revision": held.revision})
    with pytest.raises(RecordMalformed, match="preference holds something"):
        store.approve(proposal, newer.signed_by(people().key), parent_revision=held.revision)


def test_a_blob_of_several_megabytes_travels(store: RedisStore) -> None:
    blobs = {"weights.safetensors": bytes(8_000_000)}
    made = manifest(store.experiment, blobs={name: each.model_dump() for name, each in describe_blobs(blobs).items()})
    publish_checkpoint(store, made, blobs, LEARNER)
    assert store.get_checkpoint("v1").blobs == blobs


def test_the_index_forgets_nodes_without_a_heartbeat(store: RedisStore, keys: KeyNames, raw: Any) -> None:
    store.heartbeat("here", {}, ttl_s=60)
    store.heartbeat("gone", {}, ttl_s=60)
    raw.delete(keys.node("gone"))
    assert [node.node_id for node in store.nodes()] == ["here"]
    assert raw.zrange(keys.node_index, 0, -1) == [b"here"]


@pytest.mark.parametrize("off_ms", [10 * YEAR_MS, -10 * YEAR_MS])
def test_a_node_whose_clock_is_wrong_hides_nobody(redis_url: str, store: RedisStore, off_ms: int) -> None:
    """The index is ordered by clocks that may be wrong; liveness does not depend on it."""
    wrong = RedisStore(redis_url, store.experiment, clock=lambda: wall_clock_ms() + off_ms)
    store.heartbeat("right", {}, ttl_s=60)
    wrong.heartbeat("wrong", {}, ttl_s=60)
    assert [node.node_id for node in store.nodes()] == ["right", "wrong"]
    wrong.close()


def test_a_heartbeat_that_redis_would_keep_for_years_is_of_no_node_alive(
    store: RedisStore, keys: KeyNames, raw: Any
) -> None:
    """Redis's clock ran years ahead when the heartbeat was written, and is right again."""
    store.heartbeat("n1", {}, ttl_s=60)
    raw.pexpire(keys.node("n1"), 10 * YEAR_MS)
    assert store.nodes() == []


def test_odd_heartbeats_hide_no_others(store: RedisStore, keys: KeyNames, raw: Any) -> None:
    store.heartbeat("n1", {"version": "v1"}, ttl_s=60)
    raw.zadd(keys.node_index, {"junk": 1, b"\xff": 1, "list": 1})
    raw.set(keys.node("junk"), "?", px=60_000)
    raw.rpush(keys.node("list"), "x")
    raw.expire(keys.node("list"), 60)
    statuses = {node.node_id: dict(node.status) for node in store.nodes()}
    assert statuses == {"junk": {}, "list": {}, "n1": {"version": "v1"}}
    assert [store.heartbeat(odd, {"version": "v2"}, ttl_s=60) for odd in ("junk", "list")] == [{}, {}]
    assert {node.node_id: dict(node.status) for node in store.nodes()}["list"] == {"version": "v2"}


def test_a_long_audit_is_read_in_pages(store: RedisStore, keys: KeyNames, raw: Any) -> None:
    with raw.pipeline() as pipeline:
        for number in range(2_345):
            pipeline.xadd(keys.audit, {"entry": f'{{"sequence":{number}}}', "hash": "0"})
        pipeline.execute()
    entries = store.audit_entries()
    assert [each.content["sequence"] for each in entries] == list(range(2_345))


def test_a_restarted_redis_with_its_log_has_everything(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "--appendonly", "yes", "--appendfsync", "always")
    server.start()
    store = RedisStore(server.url, "homefeed")
    try:
        store.put_checkpoint(checkpoint("homefeed"))
        point_channel(store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)
        server.stop()
        with pytest.raises(StoreUnreachable):
            store.channel("stable")
        server.start()
        verified = read_channel_verified(store, Channel.STABLE, rule("homefeed"), now_ms=wall_clock_ms())
        assert verified is not None
        assert verified.signed == checkpoint("homefeed")
        set_preference(store, ALPHA, people())
    finally:
        store.close()
        server.stop()


def test_a_redis_restored_from_an_old_backup_is_refused(store: RedisStore, keys: KeyNames, raw: Any) -> None:
    for version in ("v1", "v2"):
        publish_checkpoint(store, manifest(store.experiment, version), BLOBS, LEARNER)
    point_channel(store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)
    backup = raw.dump(keys.slot("channel:stable"))
    seen = point_channel(store, Channel.STABLE, "v2", people(), ttl_ms=TTL_MS).revision
    raw.restore(keys.slot("channel:stable"), 0, backup, replace=True)
    trusted = rule(store.experiment)
    assert read_channel_verified(store, Channel.STABLE, trusted, now_ms=wall_clock_ms()) is not None
    with pytest.raises(RevisionRegressed, match=str(seen)):
        memory = ReaderMemory({"channel:stable": seen})
        read_channel_verified(store, Channel.STABLE, trusted, now_ms=wall_clock_ms(), memory=memory)


def test_an_unknown_version_is_named(store: RedisStore) -> None:
    with pytest.raises(UnknownCheckpoint, match="'nope'"):
        store.get_checkpoint("nope")


def test_a_lease_token_grows_over_a_store_that_lost_its_counter(store: RedisStore, keys: KeyNames, raw: Any) -> None:
    first = store.acquire_lease("a", ttl_s=5)
    raw.delete(keys.lease, keys.fence)
    time.sleep(0.002)
    assert store.acquire_lease("b", ttl_s=5).token > first.token


TEN_YEARS_ON = pytest.param(str(wall_clock_ms() + 10 * YEAR_MS), id="ten years on")


@pytest.mark.parametrize("fence", [str(2**53), TEN_YEARS_ON, "junk", "-1", "inf", "nan", None])
def test_no_counter_of_tokens_locks_learners_out(
    store: RedisStore, keys: KeyNames, raw: Any, fence: str | None
) -> None:
    if fence is None:
        raw.rpush(keys.fence, "a list")
    else:
        raw.set(keys.fence, fence)
    first = store.acquire_lease("a", ttl_s=60)
    assert abs(first.token - wall_clock_ms()) < HOUR_MS
    store.release_lease(first)
    assert store.acquire_lease("a", ttl_s=60).token > first.token


def test_a_lease_that_would_outlive_its_term_has_ended(store: RedisStore, keys: KeyNames, raw: Any) -> None:
    """Redis's clock ran years ahead when the lease was acquired, and was set back."""
    ahead = store.acquire_lease("a", ttl_s=60)
    with pytest.raises(LeaseHeld):
        store.acquire_lease("b", ttl_s=60)
    raw.pexpire(keys.lease, 10 * YEAR_MS)
    assert store.lease_owner() is None
    store.acquire_lease("b", ttl_s=60)
    with pytest.raises(LeaseLost):
        store.renew_lease(ahead)


@pytest.mark.parametrize("term_ms", [60_000, 10 * YEAR_MS, None])
def test_a_lease_of_version_0_1_0_holds_for_an_hour_at_most(
    store: RedisStore, keys: KeyNames, raw: Any, term_ms: int | None
) -> None:
    raw.hset(keys.lease, mapping={"owner": "old", "token": "5"})
    if term_ms is not None:
        raw.pexpire(keys.lease, term_ms)
    if term_ms == 60_000:
        with pytest.raises(LeaseHeld, match="'old'"):
            store.acquire_lease("new", ttl_s=60)
    else:
        assert store.acquire_lease("new", ttl_s=60).owner == "new"


def test_what_lies_at_the_lease_and_is_none_holds_nobody_off(store: RedisStore, keys: KeyNames, raw: Any) -> None:
    raw.set(keys.lease, "not a hash")
    assert store.lease_owner() is None
    assert store.acquire_lease("a", ttl_s=60).owner == "a"


def test_the_time_is_that_of_redis_whatever_this_machines_clock_says(redis_url: str, store: RedisStore) -> None:
    wrong = RedisStore(redis_url, store.experiment, clock=lambda: NOW + 10 * YEAR_MS)
    assert abs(wrong.time_ms() - wall_clock_ms()) < 60_000
    wrong.close()


def test_a_user_that_may_not_ask_for_the_time_learns_it_all_the_same(
    redis_url: str, store: RedisStore, raw: Any
) -> None:
    """The users that version 0.1.0 documented have no right to TIME."""
    raw.execute_command("ACL", "SETUSER", "timeless", "reset", "on", ">PASSWORD", "~*", "+@all", "-time")
    limited = RedisStore(redis_url.replace("redis://", "redis://timeless:PASSWORD@"), store.experiment)
    assert abs(limited.time_ms() - wall_clock_ms()) < 60_000
    assert set_preference(limited, ALPHA, people()).revision > NOW
    limited.close()
    raw.execute_command("ACL", "DELUSER", "timeless")


def test_the_newest_notification_is_where_a_reader_goes_on(store: RedisStore, keys: KeyNames, raw: Any) -> None:
    assert store.newest_update() == "0"
    set_preference(store, ALPHA, people())
    newest = store.newest_update()
    assert list(store.updates_since(newest)) == []
    raw.delete(keys.updates)
    set_preference(store, ALPHA, people())
    assert [each.slot for each in store.updates_since("0")] == ["proposal", "preference"]


def test_notifications_that_take_no_more_begin_anew(store: RedisStore, keys: KeyNames, raw: Any) -> None:
    """The stream is at its highest id, or is not a stream: neither may keep a decision from being published."""
    raw.xadd(keys.updates, {"slot": "", "value": ""}, id=f"{2**64 - 1}-{2**64 - 1}")
    set_preference(store, ALPHA, people())
    assert [each.slot for each in store.updates_since("0")] == ["proposal", "preference"]
    raw.delete(keys.updates)
    raw.set(keys.updates, "not a stream")
    set_preference(store, ALPHA, people())
    assert [each.slot for each in store.updates_since("0")] == ["proposal", "preference"]


def test_a_stray_notification_is_only_a_hint(store: RedisStore, keys: KeyNames, raw: Any) -> None:
    raw.xadd(keys.updates, {"x": b"\xff"})
    [update] = store.updates_since("0")
    assert (update.slot, update.value) == ("", "")
