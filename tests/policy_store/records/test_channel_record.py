"""Channel and freshness records."""

from __future__ import annotations

import pytest

from policy_store.records.channel_record import (
    Channel,
    ChannelRecord,
    FreshnessRecord,
    channel_named,
    channel_slot,
    freshness_slot,
)
from policy_store.records.store_errors import RecordMalformed

CONTENT = {"experiment": "homefeed", "revision": 7, "by": "ada", "version": "v1", "expires_at": 9}


def test_a_channel_record_has_the_documented_content_and_slot() -> None:
    record = ChannelRecord.from_content(CONTENT | {"channel": "canary"})
    assert record.slot == channel_slot(Channel.CANARY) == "channel:canary"
    assert record.canonical() == (
        b'{"by":"ada","channel":"canary","experiment":"homefeed","expires_at":9,"kind":"channel",'
        b'"parent_revision":null,"reason":"","revision":7,"version":"v1"}'
    )


def test_a_freshness_record_names_the_decision_it_prolongs() -> None:
    record = FreshnessRecord.from_content(CONTENT | {"channel": "stable", "channel_revision": 5})
    assert record.slot == freshness_slot(Channel.STABLE) == "freshness:stable"
    with pytest.raises(RecordMalformed, match="channel_revision"):
        FreshnessRecord.from_content(CONTENT | {"channel": "stable"})


@pytest.mark.parametrize("change", [{"channel": "beta"}, {"channel": "stable", "version": "../v1"}])
def test_unknown_channels_and_odd_versions_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(RecordMalformed, match=r"channel|version"):
        ChannelRecord.from_content(CONTENT | change)


def test_one_kind_is_not_read_as_the_other() -> None:
    fresh = FreshnessRecord.from_content(CONTENT | {"channel": "stable", "channel_revision": 5})
    with pytest.raises(RecordMalformed, match="ChannelRecord"):
        ChannelRecord.parse(fresh.canonical())


def test_channels_are_known_by_name() -> None:
    assert [channel_named(name) for name in ("stable", "canary", "shadow")] == list(Channel)
    with pytest.raises(RecordMalformed, match="stable"):
        channel_named("Stable")


def test_only_a_canary_is_withdrawn_and_the_field_is_in_no_other_record() -> None:
    record = ChannelRecord.from_content(CONTENT | {"channel": "canary", "withdrawn": True})
    assert b'"withdrawn":true' in record.canonical()
    assert ChannelRecord.parse(record.canonical()) == record
    plain = ChannelRecord.from_content(CONTENT | {"channel": "canary", "withdrawn": False})
    assert b"withdrawn" not in plain.canonical()
    for channel in ("stable", "shadow"):
        with pytest.raises(RecordMalformed, match="cannot be withdrawn"):
            ChannelRecord.from_content(CONTENT | {"channel": channel, "withdrawn": True})
