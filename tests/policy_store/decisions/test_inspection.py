"""`policy verify` checks everything, and reports one finding per fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from policy_store.backends.key_names import KeyNames
from policy_store.backends.redis_store import RedisStore
from policy_store.decisions.governance import keep_fresh, point_channel, publish_checkpoint
from policy_store.decisions.inspection import SLOTS, inspect_store, require_slot
from policy_store.decisions.kill_decisions import kill, resume
from policy_store.records.channel_record import Channel
from policy_store.records.preference_record import PreferenceTarget
from policy_store.records.store_errors import RecordMalformed, StoreUnreachable
from tests.components.free_port import free_port
from tests.policy_store.store_samples import (
    BLOBS,
    LEARNER,
    PEOPLE,
    TTL_MS,
    StoreBench,
    learner,
    manifest,
    people,
    rule,
    set_preference,
)


def fill(bench: StoreBench) -> None:
    store = bench.store
    for version in ("v1", "v2"):
        publish_checkpoint(store, manifest(bench.experiment, version), BLOBS, LEARNER)
        point_channel(store, Channel.STABLE, version, people(), ttl_ms=TTL_MS)
    point_channel(store, Channel.SHADOW, "v1", learner(), ttl_ms=TTL_MS)
    keep_fresh(store, Channel.STABLE, learner(), ttl_ms=TTL_MS)
    set_preference(store, PreferenceTarget.of(alpha=0.2), people())
    stop = kill(store, people()).signed_by(PEOPLE)
    resume(store, [stop.hash], people())


def problems(bench: StoreBench) -> dict[str, str]:
    findings = inspect_store(bench.store, rule(bench.experiment))
    return {each.subject: each.problem for each in findings if each.problem is not None}


def test_a_sound_store_has_no_problem_and_everything_was_looked_at(bench: StoreBench) -> None:
    fill(bench)
    findings = inspect_store(bench.store, rule(bench.experiment))
    subjects = {"audit", "checkpoint v1", "checkpoint v2", "kills", "resumes", "chain of the ledger", *SLOTS}
    assert {each.subject for each in findings} == subjects
    assert problems(bench) == {}


def test_a_record_by_the_wrong_role_is_found_in_the_history(bench: StoreBench) -> None:
    fill(bench)
    point_channel(bench.store, Channel.STABLE, "v1", learner(), ttl_ms=TTL_MS)
    point_channel(bench.store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)
    assert list(problems(bench)) == ["channel:stable"]


@pytest.fixture
def raw(redis_url: str) -> Iterator[Any]:
    client = redis.Redis.from_url(redis_url)
    yield client
    client.close()


def test_each_tampered_place_is_one_finding(redis_bench: StoreBench, raw: Any) -> None:
    fill(redis_bench)
    keys = KeyNames(redis_bench.experiment)
    raw.hset(keys.checkpoint("v1"), "weights.safetensors", b"evil")
    raw.hset(keys.slot("preference"), "signature", "AAAA")
    raw.lpop(keys.history("channel:stable"))
    raw.xdel(keys.audit, raw.xrange(keys.audit, count=1)[0][0])
    found = problems(redis_bench)
    assert set(found) == {"checkpoint v1", "preference", "channel:stable", "audit"}
    assert "weights.safetensors" in found["checkpoint v1"]
    assert "not the newest" in found["channel:stable"]


def test_a_manifest_that_is_none_is_a_finding(redis_bench: StoreBench, raw: Any) -> None:
    fill(redis_bench)
    raw.hset(KeyNames(redis_bench.experiment).checkpoint("v1"), "manifest", "?")
    assert "list of checkpoints" in problems(redis_bench)


def test_a_store_that_does_not_answer_is_an_error_not_a_finding() -> None:
    with pytest.raises(StoreUnreachable):
        inspect_store(RedisStore(f"redis://127.0.0.1:{free_port()}/0", "homefeed"), rule("homefeed"))


def test_slots_are_known_by_name() -> None:
    assert require_slot("channel:stable") == "channel:stable"
    with pytest.raises(RecordMalformed, match="channel:beta"):
        require_slot("channel:beta")
