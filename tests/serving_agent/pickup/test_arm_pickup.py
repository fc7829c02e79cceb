"""Checkpoints of arms go through the same checks as those of channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from event_schemas.errors import TrimtabError
from policy_store.backends.memory_store import MemoryStore
from policy_store.records.store_errors import StoreUnreachable
from serving_agent.decide.decision_request import DecisionRequest
from serving_agent.decide.recent_traffic import RecentTraffic
from serving_agent.pickup.arm_pickup import ArmPickup
from serving_agent.pickup.checkpoint_pickup import CheckpointPickup, PickupResult
from serving_agent.pickup.drift_check import DriftCheck
from tests.serving_samples import NOW, StoreDesk, embedded, preferring, serving_experiment, sketch_of

EXPERIMENT = serving_experiment()
REQUEST = DecisionRequest(user_embedding=embedded(0.1)).as_record("r", NOW)
STEADY = {"ranker_heads": {"repin": sketch_of(np.full(500, 0.2))}}


class Bench:
    def __init__(self) -> None:
        self.desk, self.recent = StoreDesk(EXPERIMENT), RecentTraffic()
        pickup = CheckpointPickup(EXPERIMENT, DriftCheck(EXPERIMENT, self.recent))
        self.arms = ArmPickup(self.desk.rule, pickup, self.recent, 50)

    def publish(self, version: str, **manifest: Any) -> None:
        self.desk.publish(version, preferring(EXPERIMENT, repin=3), **manifest)

    def look(self, version: str) -> PickupResult | None:
        verdict = self.arms.judge(self.desk.store, version)
        return None if verdict is None else verdict.result

    def heads(self, mean: float, count: int) -> None:
        for _ in range(count):
            self.recent.note_request(REQUEST)
            self.recent.note_heads([{"head": "repin", "count": 9, "mean": mean, "p10": 0, "p50": 0, "p90": 1}])


def test_a_checkpoint_is_accepted_once_and_forgotten_when_no_arm_names_it() -> None:
    bench = Bench()
    bench.publish("v1")
    assert bench.arms.policy("v1") is None
    assert bench.look("v1") is PickupResult.ACCEPTED
    assert bench.look("v1") is None, "there is no second verdict"
    policy = bench.arms.policy("v1")
    assert policy is not None
    assert policy.version == "v1"
    assert set(bench.arms.accepted) == {"v1"}
    bench.arms.forget_all_but([])
    assert (bench.arms.policy("v1"), bench.arms.verdicts) == (None, {})


def test_a_checkpoint_that_comes_late_is_taken_then() -> None:
    bench = Bench()
    assert bench.look("v1") is PickupResult.UNVERIFIED
    assert bench.look("v1") is None, "told once"
    bench.publish("v1")
    assert bench.look("v1") is PickupResult.ACCEPTED


def test_what_does_not_fit_is_refused_for_good() -> None:
    bench = Bench()
    bench.publish("v1", answer="probabilities")
    assert bench.look("v1") is PickupResult.CONTRACT
    assert bench.look("v1") is None
    assert bench.arms.policy("v1") is None
    assert bench.arms.accepted == {}


def test_what_does_not_verify_is_fetched_again_only_after_a_new_decision() -> None:
    class Counting(MemoryStore):
        fetched = 0

        def get_checkpoint(self, version: str) -> Any:
            self.fetched += 1
            return super().get_checkpoint(version)

    store, bench = Counting(EXPERIMENT.name), Bench()
    StoreDesk(EXPERIMENT, store).publish("v1", preferring(EXPERIMENT, repin=3), action_space="f" * 64)
    looked = [bench.arms.judge(store, "v1") for _ in range(3)]
    assert [each and each.result for each in looked] == [PickupResult.UNVERIFIED, None, None]
    assert store.fetched == 1
    bench.arms.look_again()
    assert bench.arms.judge(store, "v1") is not None
    assert store.fetched == 2


def test_drift_is_looked_at_again_after_new_traffic() -> None:
    bench = Bench()
    bench.heads(0.9, 200)
    bench.publish("v1", reference=STEADY)
    assert bench.look("v1") is PickupResult.LIVE_DRIFT
    assert bench.look("v1") is None
    bench.heads(0.2, 5_000)
    assert bench.look("v1") is PickupResult.ACCEPTED


def test_a_saved_checkpoint_is_verified_again() -> None:
    bench, other = Bench(), Bench()
    bench.publish("v1")
    bench.look("v1")
    signed = bench.arms.accepted["v1"]
    other.arms.restore("v1", signed)
    assert other.arms.policy("v1") is not None
    with pytest.raises(TrimtabError):
        other.arms.restore("v2", signed)


def test_a_store_that_does_not_answer_changes_nothing() -> None:
    class Dead(MemoryStore):
        def get_checkpoint(self, version: str) -> Any:
            raise StoreUnreachable("Redis does not answer", fix="start Redis")

    bench = Bench()
    with pytest.raises(StoreUnreachable):
        bench.arms.judge(Dead("homefeed"), "v1")
    assert bench.arms.verdicts == {}
