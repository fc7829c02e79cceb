"""One channel: what is accepted, refused, kept, waited for and restored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.governance import keep_fresh, withdraw_canary
from policy_store.decisions.verification import TrustRule
from policy_store.records.channel_record import Channel, ChannelRecord
from policy_store.records.governed_record import SignedRecord
from policy_store.records.revision_rules import DecisionOrder, ReaderMemory
from policy_store.records.store_errors import ContractMismatch, RecordMalformed
from serving_agent.decide.recent_traffic import RecentTraffic
from serving_agent.pickup.channel_state import JudgedRecord
from serving_agent.pickup.channel_watch import ChannelWatch
from serving_agent.pickup.checkpoint_pickup import CheckpointPickup, PickupResult
from serving_agent.pickup.drift_check import DriftCheck
from serving_agent.pickup.snapshot_disk import SavedSnapshot
from tests.policy_store.control_samples import YEAR_MS, rebase_of
from tests.policy_store.foreign_hands import MemoryHands
from tests.serving_samples import (
    DAY_MS,
    GOVERNANCE_KEY,
    LEARNER_KEY,
    NOW,
    TRUSTED,
    StoreDesk,
    preferring,
    serving_experiment,
    sketch_of,
)

EXPERIMENT = serving_experiment()
GRAPH = preferring(EXPERIMENT, repin=2)
RULE = TrustRule(TRUSTED, EXPERIMENT.name, EXPERIMENT.action_space.digest)
STEADY = {"ranker_heads": {"repin": sketch_of(np.full(500, 0.2))}}


class Bench:
    def __init__(self) -> None:
        self.desk = StoreDesk(EXPERIMENT)
        self.recent = RecentTraffic(capacity=100)
        self.watch = self.fresh_watch()

    def fresh_watch(self, memory: ReaderMemory | None = None) -> ChannelWatch:
        pickup = CheckpointPickup(EXPERIMENT, DriftCheck(EXPERIMENT, self.recent))
        return ChannelWatch(Channel.STABLE, RULE, pickup, self.recent, new_evidence=50, memory=memory)

    def poll(self, now: int = NOW) -> bool:
        return self.watch.poll(self.desk.store, now)

    def traffic(self, mean: float, count: int = 100) -> None:
        for _ in range(count):
            self.recent.note_heads([{"head": "repin", "count": 9, "mean": mean, "p10": 0, "p50": 0, "p90": 1}])
            self.recent.note_request({"request_id": "r", "user_embedding": []})  # type: ignore[typeddict-item]

    @property
    def result(self) -> PickupResult | None:
        return None if self.watch.state.verdict is None else self.watch.state.verdict.result

    @property
    def version(self) -> str | None:
        return None if self.watch.state.policy is None else self.watch.state.policy.version


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    assert not made.poll()
    made.desk.publish("v1", GRAPH, reference=STEADY)
    made.desk.point(Channel.STABLE, "v1")
    return made


def test_accepts_once(bench: Bench) -> None:
    assert bench.poll()
    assert (bench.version, bench.result, bench.watch.state.revision) == ("v1", PickupResult.ACCEPTED, NOW + 1)
    assert not bench.poll()


def test_a_refused_checkpoint_leaves_the_old_one(bench: Bench) -> None:
    bench.poll()
    bench.desk.publish("v2", b"no graph")
    bench.desk.point(Channel.STABLE, "v2")
    assert bench.poll()
    assert (bench.version, bench.result) == ("v1", PickupResult.CONTRACT)
    assert not bench.poll(), "a refusal is told once"


def test_a_checkpoint_for_another_action_space_is_refused(bench: Bench) -> None:
    bench.poll()
    bench.desk.publish("v2", GRAPH, action_space="0" * 64)
    bench.desk.point(Channel.STABLE, "v2")
    assert bench.poll()
    assert (bench.version, bench.result) == ("v1", PickupResult.UNVERIFIED)
    assert bench.watch.state.verdict is not None
    assert "action space" in bench.watch.state.verdict.notes[0]


def test_the_verdict_names_its_record_and_another_record_is_told_for_the_same_reason(bench: Bench) -> None:
    bench.poll()
    assert isinstance(bench.desk.store, MemoryStore)
    told = []
    for revision in (NOW + 7, NOW + 8):
        record = ChannelRecord(
            experiment=EXPERIMENT.name,
            revision=revision,
            by="the learner",
            channel=Channel.STABLE,
            version="v1",
            expires_at=NOW + DAY_MS,
        )
        MemoryHands(bench.desk.store).put("channel:stable", record.signed_by(LEARNER_KEY))
        assert [bench.poll(), bench.poll()] == [True, False]
        assert bench.watch.state.told is not None
        told.append((bench.watch.state.told.judged, bench.watch.state.told.verdict.notes))
    assert [judged for judged, _ in told] == [JudgedRecord("v1", NOW + 7), JudgedRecord("v1", NOW + 8)]
    assert told[0][1] == told[1][1]


def test_an_expired_record_is_not_accepted_but_serves_on(bench: Bench) -> None:
    assert bench.poll(NOW + 2 * DAY_MS)
    assert (bench.version, bench.result) == (None, PickupResult.EXPIRED)
    assert bench.poll()
    assert bench.version == "v1"
    assert bench.poll(NOW + 2 * DAY_MS)
    assert (bench.version, bench.watch.state.stale) == ("v1", True)
    assert not bench.poll(NOW + 2 * DAY_MS)
    bench.desk.now = NOW + 2 * DAY_MS
    keep_fresh(bench.desk.store, Channel.STABLE, bench.desk.decider(), ttl_ms=DAY_MS)
    assert bench.poll(NOW + 2 * DAY_MS)
    assert (bench.version, bench.watch.state.stale) == ("v1", False)


def test_rolling_back_is_a_newer_record(bench: Bench) -> None:
    bench.poll()
    bench.desk.publish("v2", GRAPH)
    for version in ("v2", "v1"):
        bench.desk.point(Channel.STABLE, version)
        bench.poll()
        assert bench.version == version


def test_a_store_restored_from_old_data_is_refused(bench: Bench) -> None:
    old = bench.desk.store.channel("stable")
    bench.desk.publish("v2", GRAPH)
    bench.desk.point(Channel.STABLE, "v2")
    bench.poll()
    assert old is not None
    restored = StoreDesk(EXPERIMENT, MemoryStore(EXPERIMENT.name), now=NOW)
    restored.publish("v1", GRAPH, reference=STEADY)
    restored.store.publish_channel(old, parent_revision=None)
    assert bench.watch.poll(restored.store, NOW)
    assert (bench.version, bench.result) == ("v2", PickupResult.UNVERIFIED)
    assert bench.watch.poll(MemoryStore(EXPERIMENT.name), NOW)
    assert bench.version == "v2"


def test_drift_is_looked_at_again_with_new_traffic(bench: Bench) -> None:
    bench.traffic(0.9)
    assert bench.poll()
    assert (bench.version, bench.result) == (None, PickupResult.LIVE_DRIFT)
    assert not bench.poll()
    bench.traffic(0.2, count=49)
    assert not bench.poll(), "49 requests are not yet new evidence"
    bench.traffic(0.2, count=51)
    assert bench.poll()
    assert (bench.version, bench.result) == ("v1", PickupResult.ACCEPTED)
    assert not bench.poll()


def test_starts_from_disk_past_expiry(bench: Bench) -> None:
    bench.poll()
    assert bench.watch.state.saved is not None
    saved = SavedSnapshot({"stable": bench.watch.state.saved}, accepted_in={"channel:stable": 2})
    watch = bench.fresh_watch(ReaderMemory({"channel:stable": NOW + 7}))
    watch.restore(saved)
    assert watch.state.policy is not None
    assert (watch.state.policy.version, watch.highest) == ("v1", NOW + 7)
    assert watch.state.accepted == DecisionOrder(2, NOW + 1)


def far_record(bench: Bench, version: str) -> SignedRecord:
    """A record for `stable` signed with a clock that is ten years ahead."""
    content: dict[str, Any] = {"experiment": EXPERIMENT.name, "channel": "stable", "version": version, "by": "ada"}
    content |= {"revision": NOW + 10 * YEAR_MS, "expires_at": NOW + 11 * YEAR_MS}
    signed = ChannelRecord.from_content(content).signed_by(GOVERNANCE_KEY)
    assert isinstance(bench.desk.store, MemoryStore)
    MemoryHands(bench.desk.store).publish_as_0_1_0("channel:stable", signed)
    return signed


def test_the_far_future_waits_until_the_clocks_agree(bench: Bench) -> None:
    bench.poll()
    bench.desk.publish("v2", GRAPH)
    far_record(bench, "v2")
    told = [bench.poll(NOW + minute * 60_000) for minute in range(3)]
    assert told == [True, False, False], "what is told lands in an audit that is kept for ever"
    assert (bench.version, bench.result, bench.watch.highest) == ("v1", PickupResult.FUTURE, NOW + 1)
    assert bench.watch.state.verdict is not None
    assert "ahead of this machine's clock" in bench.watch.state.verdict.notes[0]
    assert bench.poll(NOW + 10 * YEAR_MS)
    assert (bench.version, bench.result) == ("v2", PickupResult.ACCEPTED)


def test_what_was_refused_as_old_is_looked_at_again_after_a_rebase(bench: Bench) -> None:
    bench.watch = bench.fresh_watch(ReaderMemory({"channel:stable": NOW + 10 * YEAR_MS}))
    assert bench.poll()
    assert (bench.version, bench.result) == (None, PickupResult.UNVERIFIED)
    assert not bench.poll()
    bench.watch.memory.apply(rebase_of(1, NOW))
    bench.watch.rebased()
    assert bench.poll()
    assert (bench.version, bench.result, bench.watch.state.accepted) == (
        "v1",
        PickupResult.ACCEPTED,
        DecisionOrder(1, NOW + 1),
    )


def test_what_waits_for_traffic_is_dropped_when_a_rebase_voids_it(bench: Bench) -> None:
    bench.traffic(0.9)
    bench.desk.publish("v2", GRAPH, reference=STEADY)
    far = far_record(bench, "v2")
    assert bench.poll(NOW + 10 * YEAR_MS)
    assert bench.result is PickupResult.LIVE_DRIFT
    bench.watch.memory.apply(rebase_of(1, NOW).model_copy(update={"voids": (far.hash,)}))
    bench.watch.rebased()
    bench.traffic(0.2)
    assert bench.poll(NOW + 10 * YEAR_MS)
    assert (bench.version, bench.result) == (None, PickupResult.UNVERIFIED)
    assert bench.watch.state.verdict is not None
    assert "voided" in bench.watch.state.verdict.notes[0]


def test_a_voided_decision_serves_on_after_a_restart_and_raises_nothing(bench: Bench) -> None:
    bench.desk.publish("v2", GRAPH)
    far = far_record(bench, "v2")
    bench.poll(NOW + 10 * YEAR_MS)
    assert bench.watch.state.saved is not None
    again = bench.fresh_watch(ReaderMemory({"channel:stable": NOW + 5}, 1, {far.hash}))
    again.restore(SavedSnapshot({"stable": bench.watch.state.saved}))
    assert again.state.policy is not None
    assert (again.state.policy.version, again.highest) == ("v2", NOW + 5)


def test_a_disk_of_another_experiment_is_refused(bench: Bench) -> None:
    bench.poll()
    assert bench.watch.state.saved is not None
    other = TrustRule(TRUSTED, EXPERIMENT.name, "0" * 64)
    pickup = CheckpointPickup(EXPERIMENT, DriftCheck(EXPERIMENT, bench.recent))
    watch = ChannelWatch(Channel.STABLE, other, pickup, bench.recent, 50)
    with pytest.raises(ContractMismatch):
        watch.restore(SavedSnapshot({"stable": bench.watch.state.saved}))
    assert watch.state.policy is None


def test_a_record_that_stays_expired_is_told_once(bench: Bench) -> None:
    """Each report is an entry in an audit that is kept forever."""
    told = [bench.poll(NOW + 2 * DAY_MS + index * 5_000) for index in range(5)]
    assert told == [True, False, False, False, False]
    assert bench.result is PickupResult.EXPIRED


def test_drift_that_goes_on_is_told_once(bench: Bench) -> None:
    told = []
    for index in range(5):
        bench.traffic(0.9 + index / 1_000)
        told.append(bench.poll())
    assert told == [True, False, False, False, False]
    assert bench.result is PickupResult.LIVE_DRIFT
    bench.traffic(0.2)
    assert bench.poll()
    assert bench.version == "v1"


def test_what_waits_for_traffic_is_not_accepted_past_its_expiry(bench: Bench) -> None:
    bench.traffic(0.9)
    bench.poll()
    bench.traffic(0.2)
    assert bench.poll(NOW + 2 * DAY_MS)
    assert (bench.version, bench.result) == (None, PickupResult.EXPIRED)
    bench.desk.now = NOW + 2 * DAY_MS
    keep_fresh(bench.desk.store, Channel.STABLE, bench.desk.decider(), ttl_ms=DAY_MS)
    assert bench.poll(NOW + 2 * DAY_MS)
    assert bench.version == "v1"


def test_a_malformed_record_is_a_verdict(bench: Bench) -> None:
    bench.poll()

    class Torn(MemoryStore):
        def channel(self, name: str) -> Any:
            raise RecordMalformed("channel:stable lacks its signature", fix="publish a new record")

    assert bench.watch.poll(Torn(EXPERIMENT.name), NOW)
    assert (bench.version, bench.result) == ("v1", PickupResult.UNVERIFIED)


def canary_bench() -> Bench:
    made = Bench()
    made.watch = ChannelWatch(
        Channel.CANARY, RULE, CheckpointPickup(EXPERIMENT, DriftCheck(EXPERIMENT, made.recent)), made.recent, 50
    )
    made.desk.publish("v1", GRAPH, reference=STEADY)
    made.desk.point(Channel.CANARY, "v1")
    return made


def withdraw(bench: Bench) -> None:
    bench.desk.now += 1
    withdraw_canary(bench.desk.store, bench.desk.decider(), ttl_ms=DAY_MS)


def test_a_withdrawn_canary_serves_nobody_even_if_its_traffic_drifted() -> None:
    bench = canary_bench()
    assert bench.poll() and bench.version == "v1"
    bench.traffic(0.9)
    withdraw(bench)
    assert bench.poll()
    assert bench.watch.state.policy is None
    assert (bench.watch.state.drifted, bench.watch.state.stale) == (False, False)
    assert bench.watch.state.verdict is not None and bench.watch.state.verdict.notes == ("withdrawn: test",)
    assert not bench.poll(), "it is news once"
    bench.poll(NOW + 2 * DAY_MS)
    assert not bench.watch.state.stale, "nobody is served by it, so nobody falls back"


def test_a_node_obeys_a_withdrawal_however_old_it_is() -> None:
    bench = canary_bench()
    assert bench.poll() and bench.version == "v1"
    withdraw(bench)
    assert bench.poll(NOW + 3 * DAY_MS), "the learner was down, and nobody kept the record fresh"
    assert bench.watch.state.policy is None
    assert not bench.poll(NOW + 4 * DAY_MS)
    signed = bench.desk.store.channel("canary")
    assert signed is not None
    assert bench.watch.state.sight_of(signed, NOW + 5 * DAY_MS).name == "IN_SERVICE"


def test_a_node_that_first_sees_the_withdrawal_or_restarts_serves_nobody_by_it() -> None:
    bench = canary_bench()
    bench.traffic(0.9)
    withdraw(bench)
    assert bench.poll()
    assert (bench.version, bench.watch.state.newest.name) == (None, "OPEN")
    saved = bench.watch.state.saved
    assert saved is not None
    again = canary_bench()
    again.watch.restore(SavedSnapshot(channels={"canary": saved}))
    assert again.version is None
    bench.desk.now += 1
    bench.desk.publish("v2", GRAPH)
    bench.desk.point(Channel.CANARY, "v2")
    assert bench.poll() and bench.version == "v2"
