"""What is particular to Redis: key layout, hostile content, restarts, restored backups, big blobs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from policy_store.audit import verify_chain
from policy_store.channel_record import Channel
from policy_store.checkpoint_record import describe_blobs
from policy_store.governance import point_channel, propose_preference, publish_checkpoint, set_killed, set_preference
from policy_store.key_names import KeyNames
from policy_store.preference_record import PreferenceTarget
from policy_store.redis_store import RedisStore
from policy_store.store import HISTORY_LIMIT, PolicyStore
from policy_store.store_errors import (
    AuditBroken,
    RecordMalformed,
    RevisionRegressed,
    SignatureInvalid,
    StoreUnreachable,
    UnknownCheckpoint,
)
from policy_store.verification import read_channel_verified, read_control_verified
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
)

ALPHA = PreferenceTarget.of(alpha=0.3)


@pytest.fixture
def raw(redis_url: str) -> Iterator[Any]:
    client = redis.Redis.from_url(redis_url)
    yield client
    client.close()


@pytest.fixture
def store(redis_url: str) -> Iterator[RedisStore]:
    made = RedisStore(redis_url, fresh_experiment(), clock=lambda: NOW)
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
    set_killed(store, True, people())
    assert RedisStore(redis_url, fresh_experiment()).control() is None


def test_a_blob_swapped_in_redis_is_noticed(store: RedisStore, keys: KeyNames, raw: Any) -> None:
    publish_checkpoint(store, manifest(store.experiment), BLOBS, LEARNER)
    point_channel(store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)
    raw.hset(keys.checkpoint("v1"), "policy.onnx", b"evil")
    with pytest.raises(SignatureInvalid, match=r"policy\.onnx"):
        read_channel_verified(store, Channel.STABLE, rule(store.experiment), now_ms=NOW)


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
        read_channel_verified(store, Channel.STABLE, rule(store.experiment), now_ms=NOW)
    with pytest.raises((RecordMalformed, SignatureInvalid)):
        point_channel(store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)


def test_a_writer_does_not_publish_over_a_record_the_script_cannot_read(
    store: RedisStore, keys: KeyNames, raw: Any
) -> None:
    record = set_killed(store, True, people())
    raw.hset(keys.slot("control"), "record", "?")
    newer = record.model_copy(update={"revision": record.revision + 1, "parent_revision": record.revision})
    with pytest.raises(RecordMalformed, match="control holds something"):
        store.publish_control(newer.signed_by(people().key), parent_revision=record.revision)


def test_a_history_written_by_hand_is_malformed(store: RedisStore, keys: KeyNames, raw: Any) -> None:
    raw.lpush(keys.history("control"), json.dumps({"record": 5, "signature": "", "key_id": ""}))
    with pytest.raises(RecordMalformed, match="history of control"):
        store.history("control")


def test_the_history_is_bounded(store: RedisStore, keys: KeyNames, raw: Any) -> None:
    for _ in range(HISTORY_LIMIT + 3):
        raw.lpush(keys.history("control"), "{}")
    set_killed(store, True, people())
    assert raw.llen(keys.history("control")) == HISTORY_LIMIT


def test_a_blob_of_several_megabytes_travels(store: RedisStore) -> None:
    blobs = {"weights.safetensors": bytes(8_000_000)}
    made = manifest(store.experiment, blobs={name: each.model_dump() for name, each in describe_blobs(blobs).items()})
    publish_checkpoint(store, made, blobs, LEARNER)
    assert store.get_checkpoint("v1").blobs == blobs


def test_a_node_that_is_gone_for_a_day_is_forgotten(
    store: RedisStore, keys: KeyNames, raw: Any, redis_url: str
) -> None:
    store.heartbeat("gone", {}, ttl_s=0.01)
    day_later = RedisStore(redis_url, store.experiment, clock=lambda: NOW + 2 * 86_400_000)
    day_later.heartbeat("here", {}, ttl_s=5)
    assert raw.zrange(keys.node_index, 0, -1) == [b"here"]


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
    store = RedisStore(server.url, "homefeed", clock=lambda: NOW)
    try:
        store.put_checkpoint(checkpoint("homefeed"))
        point_channel(store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)
        server.stop()
        with pytest.raises(StoreUnreachable):
            store.channel("stable")
        server.start()
        verified = read_channel_verified(store, Channel.STABLE, rule("homefeed"), now_ms=NOW)
        assert verified is not None
        assert verified.signed == checkpoint("homefeed")
        set_preference(store, ALPHA, {}, people())
    finally:
        store.close()
        server.stop()


def test_a_redis_restored_from_an_old_backup_is_refused(store: RedisStore, keys: KeyNames, raw: Any) -> None:
    for version in ("v1", "v2"):
        publish_checkpoint(store, manifest(store.experiment, version), BLOBS, LEARNER)
    point_channel(store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)
    backup = raw.dump(keys.slot("channel:stable"))
    seen = point_channel(store, Channel.STABLE, "v2", people(NOW + 5), ttl_ms=TTL_MS).revision
    raw.restore(keys.slot("channel:stable"), 0, backup, replace=True)
    trusted = rule(store.experiment)
    assert read_channel_verified(store, Channel.STABLE, trusted, now_ms=NOW) is not None
    with pytest.raises(RevisionRegressed, match=str(seen)):
        read_channel_verified(store, Channel.STABLE, trusted, now_ms=NOW, last_revision=seen)


def test_an_unknown_version_is_named(store: RedisStore) -> None:
    with pytest.raises(UnknownCheckpoint, match="'nope'"):
        store.get_checkpoint("nope")


def test_a_lease_token_grows_over_a_store_that_lost_its_counter(
    store: RedisStore, keys: KeyNames, raw: Any, redis_url: str
) -> None:
    first = store.acquire_lease("a", ttl_s=5)
    raw.delete(keys.lease, keys.fence)
    later = RedisStore(redis_url, store.experiment, clock=lambda: NOW + 1)
    assert later.acquire_lease("b", ttl_s=5).token > first.token


def test_garbage_in_the_audit_does_not_keep_people_from_killing(store: RedisStore, keys: KeyNames, raw: Any) -> None:
    """Serving nodes may append to the audit: none of them may block what people decide by it."""
    set_killed(store, False, people())
    raw.xadd(keys.audit, {"x": "y"})
    set_killed(store, True, people())
    control = read_control_verified(store, rule(store.experiment))
    assert control is not None
    assert control.killed
    with pytest.raises(AuditBroken, match="entry 2"):
        verify_chain(store.audit_entries())


def test_a_stray_notification_is_only_a_hint(store: RedisStore, keys: KeyNames, raw: Any) -> None:
    raw.xadd(keys.updates, {"x": b"\xff"})
    [update] = store.updates_since("0")
    assert (update.slot, update.value) == ("", "")
