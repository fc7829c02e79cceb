"""What a re-base voids is read by nobody, also by a reader that remembers nothing itself."""

from __future__ import annotations

import pytest

from policy_store.decisions.governance import point_channel, publish_checkpoint
from policy_store.decisions.rebasing import rebase
from policy_store.decisions.verified_reading import read_channel_verified, read_preference_verified
from policy_store.records.channel_record import Channel, ChannelRecord
from policy_store.records.preference_record import PreferenceRecord, PreferenceTarget
from policy_store.records.store_errors import RecordVoided
from tests.policy_store.control_samples import YEAR_MS
from tests.policy_store.store_samples import (
    BLOBS,
    LEARNER,
    PEOPLE,
    TTL_MS,
    StoreBench,
    manifest,
    people,
    rule,
    set_preference,
)

ALPHA = {tenths: PreferenceTarget.of(alpha=tenths / 10) for tenths in (2, 9)}


def test_nothing_is_read_where_nothing_was_decided(bench: StoreBench) -> None:
    trusted = rule(bench.experiment)
    assert read_preference_verified(bench.store, trusted) is None
    assert read_channel_verified(bench.store, Channel.STABLE, trusted, now_ms=bench.store.time_ms()) is None


def test_what_a_rebase_voids_is_refused_without_a_memory(bench: StoreBench) -> None:
    """Records of a clock that ran ten years ahead, put back when their time has come."""
    store, trusted, name = bench.store, rule(bench.experiment), bench.experiment
    publish_checkpoint(store, manifest(name, "v1"), BLOBS, LEARNER)
    point_channel(store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)
    set_preference(store, ALPHA[2], people())
    ahead = store.time_ms() + 10 * YEAR_MS
    content = {"experiment": name, "revision": ahead, "by": "ada"}
    channel = {"channel": "stable", "version": "v1", "expires_at": ahead + TTL_MS}
    far = {
        "channel:stable": ChannelRecord.from_content(content | channel).signed_by(PEOPLE),
        "preference": PreferenceRecord(experiment=name, revision=ahead, by="ada", default=ALPHA[9]).signed_by(PEOPLE),
    }
    for slot, signed in far.items():
        bench.hands.publish_as_0_1_0(slot, signed)
    rebase(store, trusted, people())
    assert read_preference_verified(store, trusted) is not None
    assert read_channel_verified(store, Channel.STABLE, trusted, now_ms=store.time_ms()) is not None
    for slot, signed in far.items():
        bench.hands.put(slot, signed)
    with pytest.raises(RecordVoided):
        read_preference_verified(store, trusted)
    with pytest.raises(RecordVoided):
        read_channel_verified(store, Channel.STABLE, trusted, now_ms=ahead)
