"""What a reader refuses, each with its own error: the store's content is never trusted, only checked."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from event_schemas.units import HOUR_MS
from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.governance import (
    keep_fresh,
    point_channel,
    publish_checkpoint,
    withdraw_canary,
)
from policy_store.decisions.record_places import Decider
from policy_store.decisions.verification import (
    Approval,
    VerifiedCheckpoint,
    require_promotable,
    verify_channel,
    verify_checkpoint,
    verify_record,
)
from policy_store.decisions.verified_reading import read_channel_verified, read_preference_verified
from policy_store.records.channel_record import Channel, ChannelRecord, FreshnessRecord
from policy_store.records.checkpoint_record import SignedCheckpoint, describe_blobs, sign_checkpoint
from policy_store.records.governed_record import SignedRecord
from policy_store.records.preference_record import PreferenceRecord, PreferenceTarget
from policy_store.records.revision_rules import ReaderMemory
from policy_store.records.store_errors import (
    ContractMismatch,
    PromotionRefused,
    RecordExpired,
    RecordFromFuture,
    RecordMalformed,
    RecordVoided,
    RevisionRegressed,
    RoleForbidden,
    SignatureInvalid,
    UnknownCheckpoint,
)
from tests.policy_store import store_samples
from tests.policy_store.store_samples import (
    BLOBS,
    LEARNER,
    NOW,
    PEOPLE,
    SPACE,
    STRANGER,
    TTL_MS,
    checkpoint,
    manifest,
    rule,
    set_preference,
)

X = "homefeed"
ALPHA = PreferenceTarget.of(alpha=0.3)


def people(now_ms: int = NOW) -> Decider:
    return store_samples.people(now_ms)


def learner(now_ms: int = NOW) -> Decider:
    return store_samples.learner(now_ms)


def seen(slot: str, revision: int) -> ReaderMemory:
    return ReaderMemory({slot: revision})


def stored(channel: Channel = Channel.STABLE, decider: Decider | None = None) -> MemoryStore:
    """A store whose channel points to v1."""
    store = MemoryStore(X, clock=lambda: NOW)
    publish_checkpoint(store, manifest(X), BLOBS, LEARNER)
    point_channel(store, channel, "v1", decider or people(), ttl_ms=TTL_MS)
    return store


def read(store: MemoryStore, channel: Channel = Channel.STABLE, **changes: Any) -> VerifiedCheckpoint | None:
    approval = changes.pop("approval", Approval.MANUAL)
    asked = {"now_ms": NOW} | changes
    return read_channel_verified(store, channel, rule(X, approval), **asked)


def tampered(record: SignedRecord, **changes: object) -> SignedRecord:
    content = json.loads(record.record) | changes
    return replace(record, record=json.dumps(content, sort_keys=True, separators=(",", ":")).encode())


def channel_of(store: MemoryStore) -> SignedRecord:
    record = store.channel("stable")
    assert record is not None
    return record


def test_a_true_channel_gives_its_checkpoint_and_the_stored_forms() -> None:
    store = stored()
    verified = read(store)
    assert verified is not None
    assert verified.manifest == manifest(X)
    assert verified.signed.blobs == BLOBS
    assert verified.record == store.channel("stable")
    assert (verified.channel.version, verified.expires_at) == ("v1", NOW + TTL_MS)


def test_an_empty_channel_is_none() -> None:
    assert read(stored(), Channel.CANARY) is None


@pytest.mark.parametrize("change", [{"version": "v2"}, {"revision": NOW + 5}, {"expires_at": NOW * 2}, {"by": "eve"}])
def test_a_changed_channel_record_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(SignatureInvalid, match="does not match"):
        verify_channel(tampered(channel_of(stored()), **change), Channel.STABLE, rule(X))


def test_a_record_signed_by_a_stranger_is_refused() -> None:
    store = stored(decider=replace(people(), key=STRANGER))
    with pytest.raises(SignatureInvalid, match="governance/stranger"):
        read(store)


@pytest.mark.parametrize(
    ("channel", "approval", "allowed"),
    [
        (Channel.SHADOW, Approval.MANUAL, True),
        (Channel.CANARY, Approval.MANUAL, False),
        (Channel.STABLE, Approval.MANUAL, False),
        (Channel.CANARY, Approval.AUTO, True),
        (Channel.STABLE, Approval.AUTO, True),
    ],
)
def test_how_far_a_learner_may_promote_itself(channel: Channel, approval: Approval, allowed: bool) -> None:
    store = stored(channel, learner())
    if allowed:
        assert read(store, channel, approval=approval) is not None
    else:
        with pytest.raises(RoleForbidden, match="learner/main"):
            read(store, channel, approval=approval)


def test_a_learner_decides_neither_preference_nor_kills_nor_rebases() -> None:
    store = MemoryStore(X, clock=lambda: NOW)
    set_preference(store, ALPHA, learner())
    for approval in Approval:
        with pytest.raises(RoleForbidden, match="preference"):
            read_preference_verified(store, rule(X, approval))
        for slot in ("control", "rebase"):
            with pytest.raises(RoleForbidden, match=slot):
                rule(X, approval).require_signer(slot, LEARNER)


def test_a_record_of_another_channel_or_experiment_is_refused() -> None:
    record = channel_of(stored())
    with pytest.raises(ContractMismatch, match="'canary'"):
        verify_channel(record, Channel.CANARY, rule(X))
    with pytest.raises(ContractMismatch, match="'elsewhere'"):
        verify_channel(record, Channel.STABLE, rule("elsewhere"))


def test_a_manifest_or_preference_does_not_pass_as_a_channel_record() -> None:
    signed = checkpoint(X, key=PEOPLE)
    with pytest.raises(RecordMalformed, match="ChannelRecord"):
        verify_channel(SignedRecord(signed.manifest, signed.signature, signed.key_id), Channel.STABLE, rule(X))
    store = MemoryStore(X, clock=lambda: NOW)
    preference = set_preference(store, ALPHA, people()).signed_by(PEOPLE)
    with pytest.raises(RecordMalformed, match="ChannelRecord"):
        verify_record(preference, ChannelRecord, rule(X))
    assert verify_record(preference, PreferenceRecord, rule(X)).default == ALPHA


def test_a_store_restored_from_old_data_is_refused_until_people_publish_again() -> None:
    store = stored()
    memory = seen("channel:stable", NOW + 9_000)
    with pytest.raises(RevisionRegressed, match="seen before"):
        read(store, memory=memory)
    store.heartbeat("n1", {"revisions": memory.highest}, 60)
    point_channel(store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)
    assert read(store, memory=memory) is not None


def test_an_emptied_store_is_refused() -> None:
    store = MemoryStore(X, clock=lambda: NOW)
    with pytest.raises(RevisionRegressed, match="empty"):
        read(store, memory=seen("channel:stable", NOW))
    with pytest.raises(RevisionRegressed, match="empty"):
        read_preference_verified(store, rule(X), memory=seen("preference", NOW))


def test_a_record_from_the_far_future_is_refused_by_a_reader_with_a_clock() -> None:
    store = stored()
    set_preference(store, ALPHA, people())
    lagging = NOW - HOUR_MS - 10 * 60_000
    with pytest.raises(RecordFromFuture, match="channel:stable"):
        read(store, now_ms=lagging)
    with pytest.raises(RecordFromFuture, match="preference"):
        read_preference_verified(store, rule(X), now_ms=lagging)
    assert read(store, now_ms=NOW - HOUR_MS) is not None
    assert read_preference_verified(store, rule(X), now_ms=NOW - HOUR_MS) is not None
    assert read_preference_verified(store, rule(X)) is not None


def test_a_voided_record_is_refused() -> None:
    store = stored()
    memory = ReaderMemory(voided={channel_of(store).hash})
    with pytest.raises(RecordVoided, match="channel:stable"):
        read(store, memory=memory)


def test_an_expired_record_is_not_accepted_anew() -> None:
    store = stored()
    assert read(store, now_ms=NOW + TTL_MS - 1) is not None
    with pytest.raises(RecordExpired, match="expired at 2023-11-14 23:13:20Z"):
        read(store, now_ms=NOW + TTL_MS + 5_000)


def test_a_withdrawal_never_expires() -> None:
    store = stored()
    point_channel(store, Channel.CANARY, "v1", people(), ttl_ms=TTL_MS)
    withdraw_canary(store, people(NOW + 1), ttl_ms=TTL_MS)
    found = read_channel_verified(store, Channel.CANARY, rule(X), now_ms=NOW + 9 * TTL_MS)
    assert found is not None and found.channel.withdrawn


def test_the_learner_keeps_what_people_decided_fresh() -> None:
    store = stored()
    store.clock = lambda: NOW + TTL_MS
    keep_fresh(store, Channel.STABLE, learner(NOW + TTL_MS), ttl_ms=TTL_MS)
    verified = read(store, now_ms=NOW + TTL_MS + 5_000)
    assert verified is not None
    assert verified.expires_at == NOW + 2 * TTL_MS


def test_freshness_of_an_earlier_decision_prolongs_nothing() -> None:
    store = stored()
    keep_fresh(store, Channel.STABLE, learner(), ttl_ms=TTL_MS * 9)
    point_channel(store, Channel.STABLE, "v1", people(NOW + 1), ttl_ms=TTL_MS)
    with pytest.raises(RecordExpired):
        read(store, now_ms=NOW + TTL_MS + 5_000)


class FreshnessFromFuture(MemoryStore):
    """A store whose freshness record was signed by a clock that ran ahead by years."""

    def freshness(self, name: str) -> SignedRecord | None:
        signed = super().freshness(name)
        if signed is None:
            return None
        fresh = FreshnessRecord.parse(signed.record)
        return fresh.model_copy(update={"revision": fresh.revision + 10 * 365 * 24 * HOUR_MS}).signed_by(LEARNER)


class FreshnessTorn(MemoryStore):
    """A store whose freshness record somebody edited."""

    def freshness(self, name: str) -> SignedRecord | None:
        raise RecordMalformed("freshness lacks its signature", fix="publish again")


@pytest.mark.parametrize("kind", [FreshnessFromFuture, FreshnessTorn])
def test_odd_freshness_prolongs_nothing_and_hinders_nothing(kind: type[MemoryStore]) -> None:
    store = kind(X, clock=lambda: NOW)
    publish_checkpoint(store, manifest(X), BLOBS, LEARNER)
    point_channel(store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)
    MemoryStore.publish_channel(
        store,
        FreshnessRecord.from_content(
            {"experiment": X, "channel": "stable", "version": "v1", "channel_revision": NOW + 1, "by": "learner"}
            | {"revision": NOW + 1, "expires_at": NOW + 9 * TTL_MS}
        ).signed_by(LEARNER),
        parent_revision=None,
    )
    assert read(store) is not None
    with pytest.raises(RecordExpired):
        read(store, now_ms=NOW + TTL_MS + 5_000)


def test_freshness_by_a_stranger_prolongs_nothing() -> None:
    store = stored()
    keep_fresh(store, Channel.STABLE, replace(people(), key=STRANGER), ttl_ms=TTL_MS * 9)
    with pytest.raises(RecordExpired):
        read(store, now_ms=NOW + TTL_MS + 5_000)
    assert read(store) is not None


def other_checkpoint(**changes: object) -> SignedCheckpoint:
    return sign_checkpoint(manifest(X, **changes), BLOBS, LEARNER)  # type: ignore[arg-type]


def test_a_checkpoint_for_something_else_is_refused() -> None:
    trusted = replace(rule(X), feature_contracts=frozenset({"cd" * 32, "ab" * 32}))
    assert verify_checkpoint(checkpoint(X), "v1", trusted).action_space == SPACE
    wrong: list[tuple[SignedCheckpoint, str]] = [
        (other_checkpoint(action_space="ef" * 32), "action space"),
        (other_checkpoint(feature_contract="ef" * 32), "feature contract"),
        (other_checkpoint(version="v2"), "version"),
        (checkpoint("elsewhere"), "experiment"),
    ]
    for signed, field in wrong:
        with pytest.raises(ContractMismatch, match=field):
            verify_checkpoint(signed, "v1", trusted)


def test_a_tampered_checkpoint_is_refused() -> None:
    signed = checkpoint(X)
    swapped = {**BLOBS, "policy.onnx": b"evil"}
    described = describe_blobs(swapped)["policy.onnx"].sha256.encode()
    honest = describe_blobs(BLOBS)["policy.onnx"].sha256.encode()
    wrong: list[SignedCheckpoint] = [
        replace(signed, manifest=signed.manifest.replace(b'"pass"', b'"PASS"')),
        replace(signed, signature=bytes(64)),
        replace(signed, key_id="governance/board"),
        replace(signed, key_id="learner/other"),
        replace(signed, blobs=swapped),
        replace(signed, blobs=swapped, manifest=signed.manifest.replace(honest, described)),
        replace(signed, blobs={}),
        replace(signed, blobs={**BLOBS, "more.bin": b""}),
    ]
    for each in wrong:
        with pytest.raises(SignatureInvalid, match="v1"):
            verify_checkpoint(each, "v1", rule(X))


class CheckpointGone(MemoryStore):
    """A store that has lost its checkpoints, but not its channels."""

    def get_checkpoint(self, version: str) -> SignedCheckpoint:
        raise UnknownCheckpoint(f"no {version}", fix="publish it")


def test_a_channel_to_a_lost_checkpoint_says_so() -> None:
    store = CheckpointGone(X, clock=lambda: NOW)
    publish_checkpoint(store, manifest(X), BLOBS, LEARNER)
    point_channel(store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)
    with pytest.raises(UnknownCheckpoint, match="v1"):
        read(store)


def test_a_preference_is_read_when_true() -> None:
    store = MemoryStore(X, clock=lambda: NOW)
    assert read_preference_verified(store, rule(X)) is None
    preference = set_preference(store, ALPHA, people())
    memory = seen("preference", preference.revision)
    assert read_preference_verified(store, rule(X), now_ms=NOW, memory=memory) == preference


@pytest.mark.parametrize(
    ("verdict", "channel", "allowed"),
    [
        ("pass", Channel.STABLE, True),
        ("pass", Channel.SHADOW, True),
        ("inconclusive", Channel.SHADOW, True),
        ("inconclusive", Channel.CANARY, False),
        (None, Channel.STABLE, False),
        ("refuse", Channel.SHADOW, False),
    ],
)
def test_only_a_pass_reaches_users(verdict: str | None, channel: Channel, allowed: bool) -> None:
    judged = manifest(X, evaluation={"verdict": verdict})
    if allowed:
        require_promotable(judged, channel)
    else:
        with pytest.raises(PromotionRefused, match="v1"):
            require_promotable(judged, channel)


def test_a_writer_learns_before_it_writes_that_nobody_would_believe_it() -> None:
    rule(X).require_signer("preference", PEOPLE)
    rule(X).require_signer("channel:shadow", LEARNER)
    with pytest.raises(RoleForbidden, match="preference"):
        rule(X).require_signer("preference", LEARNER)
    with pytest.raises(SignatureInvalid, match="stranger"):
        rule(X).require_signer("preference", STRANGER)
