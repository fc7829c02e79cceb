"""Versions as people write them: in full, `latest`, a channel's name, or a beginning."""

from __future__ import annotations

import pytest

from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.governance import point_channel, publish_checkpoint
from policy_store.decisions.version_references import resolve_version
from policy_store.records.channel_record import Channel
from policy_store.records.store_errors import AmbiguousVersion, RecordFromFuture, RoleForbidden, UnknownCheckpoint
from tests.policy_store.store_samples import BLOBS, LEARNER, NOW, TTL_MS, learner, manifest, people, rule

OLD, MIDDLE, NEW = "20240501T120000000Z-0a1b2c3d", "20240501T130000000Z-ffffffff", "20240502T120000000Z-0a1b2c3e"
RULE = rule("homefeed")


@pytest.fixture
def store() -> MemoryStore:
    return filled(OLD, MIDDLE, NEW)


def filled(*versions: str) -> MemoryStore:
    store = MemoryStore("homefeed")
    for age, version in enumerate(versions):
        publish_checkpoint(store, manifest("homefeed", version, created_at=NOW + age), BLOBS, LEARNER)
    return store


@pytest.mark.parametrize(
    ("reference", "version"),
    [(OLD, OLD), (MIDDLE, MIDDLE), ("latest", NEW), ("20240502", NEW), ("20240501T13", MIDDLE), (OLD[:-1], OLD)],
)
def test_what_a_reference_stands_for(store: MemoryStore, reference: str, version: str) -> None:
    assert resolve_version(store, reference, RULE) == version


def test_a_channel_stands_for_what_it_points_to(store: MemoryStore) -> None:
    point_channel(store, Channel.STABLE, OLD, people(), ttl_ms=TTL_MS)
    point_channel(store, Channel.SHADOW, NEW, learner(), ttl_ms=TTL_MS)
    assert [resolve_version(store, name, RULE) for name in ("stable", "shadow")] == [OLD, NEW]
    with pytest.raises(UnknownCheckpoint, match="channel:canary points to nothing yet"):
        resolve_version(store, "canary", RULE)


def test_a_channel_that_nobody_may_believe_stands_for_nothing(store: MemoryStore) -> None:
    point_channel(store, Channel.STABLE, OLD, learner(), ttl_ms=TTL_MS)
    with pytest.raises(RoleForbidden, match="channel:stable"):
        resolve_version(store, "stable", RULE)


def test_a_version_in_full_goes_before_everything_else() -> None:
    store = filled("latest", "stable", "v1", "v12", "v123")
    point_channel(store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)
    assert [resolve_version(store, name, RULE) for name in ("latest", "stable", "v1", "v12")] == [
        "latest",
        "stable",
        "v1",
        "v12",
    ]


def test_a_channel_goes_before_a_beginning() -> None:
    store = filled("shadow-of-may", "v1")
    point_channel(store, Channel.SHADOW, "v1", people(), ttl_ms=TTL_MS)
    assert [resolve_version(store, name, RULE) for name in ("shadow", "shadow-")] == ["v1", "shadow-of-may"]


def test_the_beginning_of_several_is_an_error_with_the_candidates(store: MemoryStore) -> None:
    with pytest.raises(AmbiguousVersion, match=rf"'20240501' begins 2 versions: {MIDDLE}, {OLD} ") as caught:
        resolve_version(store, "20240501", RULE)
    assert "more" in caught.value.fix
    many = filled(*(f"v{number:02}" for number in range(14)))
    with pytest.raises(AmbiguousVersion, match=r"14 versions: v13, v12, .*, v04 and 4 older ones"):
        resolve_version(many, "v", RULE)


@pytest.mark.parametrize("reference", ["", "2025", OLD + "0", "Latest"])
def test_what_stands_for_nothing_says_how_to_list_versions(store: MemoryStore, reference: str) -> None:
    with pytest.raises(UnknownCheckpoint, match=f"no checkpoint '{reference}'") as caught:
        resolve_version(store, reference, RULE)
    assert "trimtab policy list" in caught.value.fix


def test_an_empty_store_has_no_latest() -> None:
    with pytest.raises(UnknownCheckpoint, match="no checkpoint yet") as caught:
        resolve_version(MemoryStore("homefeed"), "latest", RULE)
    assert "trimtab learn" in caught.value.fix


def test_a_record_that_readers_refuse_stands_for_nothing() -> None:
    now = [NOW + 86_400_000]
    store = MemoryStore("homefeed", clock=lambda: now[0])
    publish_checkpoint(store, manifest("homefeed", OLD), BLOBS, LEARNER)
    point_channel(store, Channel.STABLE, OLD, people(now[0]), ttl_ms=TTL_MS)
    assert resolve_version(store, "stable", RULE) == OLD
    now[0] = NOW
    with pytest.raises(RecordFromFuture, match="more than an hour ahead"):
        resolve_version(store, "stable", RULE)
