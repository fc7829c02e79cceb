"""Which parts of heartbeats are used; anybody who may report can put anything into them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_store.backends.store import NodeStatus
from policy_store.decisions.node_claims import claimed_revisions, claims_of_live_nodes, node_claims
from policy_store.decisions.rebasing import rebase
from policy_store.records.preference_record import PreferenceRecord, PreferenceTarget
from policy_store.records.revision_rules import MAX_REVISION, KnownRevision
from tests.policy_store.control_samples import YEAR_MS, rebase_of, stop
from tests.policy_store.foreign_hands import RedisHands
from tests.policy_store.store_samples import PEOPLE, StoreBench, people, rule, set_preference

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def test_claims_are_epoch_revisions_and_open_kills() -> None:
    kill = stop(5)
    status = {"epoch": 2, "revisions": {"preference": 7}, "open_kills": {kill.hash: kill.signed.as_item()}}
    [claims] = node_claims([NodeStatus("n1", status)])
    assert (claims.source, claims.epoch, dict(claims.revisions)) == ("node n1", 2, {"preference": 7})
    assert dict(claims.open_kills) == {kill.hash: kill.signed}


@pytest.mark.parametrize("kind", ["set", "string"])
def test_who_may_report_cannot_stop_publishing_or_rebasing(redis_bench: StoreBench, kind: str) -> None:
    """A serving node may write to `nodes`, and may have been taken over."""
    hands, far = redis_bench.hands, redis_bench.store.time_ms() + 10 * YEAR_MS
    assert isinstance(hands, RedisHands)
    redis_bench.store.heartbeat("n1", {"revisions": {"preference": 5}}, 60)
    assert [each.revisions for each in claims_of_live_nodes(redis_bench.store)] == [{"preference": 5}]
    hands.raw.delete(hands.keys.node_index)
    hands.raw.sadd(hands.keys.node_index, "x") if kind == "set" else hands.raw.set(hands.keys.node_index, "x")
    assert claims_of_live_nodes(redis_bench.store) == []
    set_preference(redis_bench.store, PreferenceTarget.of(alpha=0.5), people())
    record = PreferenceRecord(
        experiment=redis_bench.experiment, revision=far, by="a", default=PreferenceTarget(alpha=0)
    )
    hands.publish_as_0_1_0("preference", record.signed_by(PEOPLE))
    assert len(rebase(redis_bench.store, rule(redis_bench.experiment), people()).voided) == 1


def test_a_kill_under_another_hash_is_known_by_its_hash_alone() -> None:
    other = "ab" * 32
    status = {"open_kills": {other: stop(5).signed.as_item(), "short": {}, "cd" * 32: {"record": "?"}}}
    [claims] = node_claims([NodeStatus("n1", status)])
    assert dict(claims.open_kills) == {other: None, "cd" * 32: None}


def test_claims_of_an_earlier_epoch_are_bounded_by_the_rebase() -> None:
    claims = node_claims(
        [
            NodeStatus("old", {"epoch": 0, "revisions": {"preference": 99}}),
            NodeStatus("new", {"epoch": 1, "revisions": {"preference": 60}}),
            NodeStatus("none", {}),
        ]
    )
    found = claimed_revisions(claims, "preference", [rebase_of(1, 50)])
    assert found == [KnownRevision(50, "node old"), KnownRevision(60, "node new")]
    assert claimed_revisions(claims, "preference", [])[0] == KnownRevision(99, "node old")
    assert claimed_revisions(claims, "channel:stable", []) == []


@given(st.dictionaries(st.sampled_from(["epoch", "revisions", "open_kills", "x"]), JSON))
def test_no_heartbeat_is_too_odd(status: dict[str, Any]) -> None:
    [claims] = node_claims([NodeStatus("n1", status)])
    assert 0 <= claims.epoch <= MAX_REVISION
    assert all(0 <= each <= MAX_REVISION for each in claims.revisions.values())
    assert all(len(each) == 64 for each in claims.open_kills)
