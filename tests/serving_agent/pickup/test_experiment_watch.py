"""What a node makes of the online experiments in the store, and of a canary."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.experiment_decisions import conclude_experiment, start_experiment
from policy_store.records.experiment_record import ExperimentArm, ExperimentsRecord
from policy_store.records.preference_record import PreferenceTarget
from serving_agent.decide.online_experiments import arm_for, raised_log_rate
from serving_agent.decide.recent_traffic import RecentTraffic
from serving_agent.pickup.arm_pickup import ArmPickup
from serving_agent.pickup.checkpoint_pickup import CheckpointPickup, PickupResult
from serving_agent.pickup.drift_check import DriftCheck
from serving_agent.pickup.experiment_watch import RAISE_DELAY_MS, ExperimentWatch
from serving_agent.pickup.snapshot_disk import SavedExperiments, SavedSnapshot
from tests.policy_store.experiment_samples import arm, plan, result
from tests.policy_store.foreign_hands import MemoryHands
from tests.serving_samples import DAY_MS, LEARNER_KEY, NOW, StoreDesk, loaded, preferring, serving_experiment

EXPERIMENT = serving_experiment()
TESTED = (arm("control", 0.5, "v1"), arm("bold", 0.5, "v1", alpha=0.9))


class Bench:
    """People at the store, and one node."""

    def __init__(self) -> None:
        self.desk = StoreDesk(EXPERIMENT)
        self.desk.publish("v1", preferring(EXPERIMENT, repin=3), evaluation={"verdict": "pass"})
        self.watch = self.node()

    def node(self) -> ExperimentWatch:
        recent = RecentTraffic()
        pickup = CheckpointPickup(EXPERIMENT, DriftCheck(EXPERIMENT, recent))
        return ExperimentWatch(EXPERIMENT, self.desk.rule, ArmPickup(self.desk.rule, pickup, recent, 50))

    def start(self, *arms: ExperimentArm, **changes: object) -> None:
        planned = plan(NOW, *arms, **changes)
        start_experiment(self.desk.store, planned, EXPERIMENT, self.desk.rule, self.desk.decider())

    def poll(self, now: int = NOW) -> bool:
        return self.watch.poll(self.desk.store, now)

    @property
    def hands(self) -> MemoryHands:
        assert isinstance(self.desk.store, MemoryStore)
        return MemoryHands(self.desk.store)


def test_follows_experiments_from_start_to_end() -> None:
    bench = Bench()
    assert not bench.poll()
    assert bench.watch.running(NOW) == ()
    bench.start(*TESTED)
    assert bench.poll()
    assert not bench.poll()
    [made] = bench.watch.running(NOW)
    assert (made.id, made.share, made.start, made.end) == ("x1", 0.2, NOW, NOW + DAY_MS)
    control, bold = made.arms
    assert (control.label, bold.label) == ("x1/control", "x1/bold")
    assert control.policy is bold.policy, "a checkpoint that two arms name is loaded once"
    assert control.policy is not None
    assert control.preference is None
    assert bold.preference is not None
    assert bold.preference.default == pytest.approx((0.1, 0.9))
    assert bold.preference.revision == NOW + 1
    assert [version for version, _ in bench.watch.news] == ["v1"]
    conclude_experiment(bench.desk.store, result(), bench.desk.rule, bench.desk.decider())
    assert bench.poll()
    assert bench.watch.running(NOW) == ()
    assert bench.watch.policies() == ()


def test_an_experiment_ends_when_it_was_planned_to() -> None:
    bench = Bench()
    bench.start(*TESTED)
    bench.poll()
    [made] = bench.watch.running(NOW + DAY_MS)
    assert arm_for([made], EXPERIMENT.experiment.salt, "user1", NOW + DAY_MS) is None
    assert bench.watch.running(NOW + DAY_MS + 60_000) == ()


def test_the_log_rate_is_raised_some_seconds_after_the_node_heard_of_it() -> None:
    bench = Bench()
    bench.start(*TESTED, log_rate=0.5)
    bench.poll(NOW + 1_000)
    made = bench.watch.running(NOW + 1_000)
    heard = NOW + 1_000 + RAISE_DELAY_MS
    assert [raised_log_rate(made, at) for at in (heard - 1, heard, NOW + DAY_MS)] == [0.0, 0.5, 0.0]
    later = bench.watch.running(NOW + 50_000)
    assert later[0].logs_from == heard, "the next swap does not put it off"


def test_a_node_that_comes_later_uses_the_raised_rate_at_once() -> None:
    bench = Bench()
    bench.start(*TESTED, log_rate=0.5)
    bench.poll(NOW + 3_600_000)
    made = bench.watch.running(NOW + 3_600_000)
    assert raised_log_rate(made, NOW + 3_600_000) == 0.5
    canary = loaded(EXPERIMENT, preferring(EXPERIMENT, repin=3), "v2")
    [_, old] = bench.watch.running(NOW + 3_600_000, canary, NOW + 10)
    assert old.logs_from == NOW + 10


def test_a_canary_is_an_experiment_of_its_own_users() -> None:
    bench = Bench()
    canary = loaded(EXPERIMENT, preferring(EXPERIMENT, repin=3), "v2")
    [made] = bench.watch.running(NOW, canary, NOW - 10)
    assert (made.id, made.share, made.start, made.log_rate) == ("canary-v2", 0.1, NOW - 10, 1.0)
    assert [(each.label, each.share, each.follows) for each in made.arms] == [
        ("canary-v2/canary", 0.5, False),
        ("canary-v2/control", 0.5, True),
    ]
    assert made.arms[0].policy is canary
    assert made.end > NOW + 1_000 * DAY_MS


def test_experiments_take_users_in_the_order_in_which_they_began() -> None:
    bench = Bench()
    bench.start(*TESTED)
    bench.poll()
    canary = loaded(EXPERIMENT, preferring(EXPERIMENT, repin=3), "v2")
    for since, order in ((NOW - 10, ["canary-v2", "x1"]), (NOW + 10, ["x1", "canary-v2"])):
        assert [each.id for each in bench.watch.running(NOW + 20, canary, since)] == order


def test_without_a_share_there_is_no_canary() -> None:
    bench = Bench()
    nobody = serving_experiment(serving={"canary_share": 0.0})
    watch = ExperimentWatch(nobody, bench.desk.rule, bench.watch._arms)
    assert watch.running(NOW, loaded(nobody, preferring(nobody, repin=3), "v2"), NOW) == ()


def test_an_arm_waits_for_its_checkpoint_and_the_heartbeat_says_so() -> None:
    bench = Bench()
    bench.desk.publish("odd", preferring(EXPERIMENT, repin=3), answer="probabilities", evaluation={"verdict": "pass"})
    bench.start(arm("control", 0.5), arm("bold", 0.5, "odd"))
    bench.poll()
    [made] = bench.watch.running(NOW)
    assert (made.arms[1].follows, made.arms[1].policy) == (False, None)
    report = bench.watch.told()
    assert report["revision"] == NOW + 1
    assert report["checkpoints"]["odd"]["result"] == PickupResult.CONTRACT.value


def test_a_record_that_cannot_be_believed_changes_nothing() -> None:
    bench = Bench()
    bench.start(*TESTED)
    bench.poll()
    forged = ExperimentsRecord(experiment=EXPERIMENT.name, revision=NOW + 9, by="x", running=())
    bench.hands.put("experiments", forged.signed_by(LEARNER_KEY))
    assert bench.poll()
    assert "learner" in str(bench.watch.fault)
    assert len(bench.watch.running(NOW)) == 1
    bench.hands.empty()
    bench.poll()
    assert "is empty" in str(bench.watch.fault)
    assert len(bench.watch.running(NOW)) == 1


def test_an_arm_for_objectives_that_this_file_lacks_is_not_accepted() -> None:
    bench = Bench()
    bad = plan(NOW).arms[1].model_copy(update={"preference": PreferenceTarget.of(weights={"a": 1.0})})
    running = (plan(NOW, arm("control", 0.5), bad),)
    record = ExperimentsRecord(experiment=EXPERIMENT.name, revision=NOW, by="x", running=running)
    bench.hands.put("experiments", record.signed_by(bench.desk.decider().key))
    bench.poll()
    assert "objectives" in str(bench.watch.fault)
    assert bench.watch.running(NOW) == ()


def test_what_the_disk_holds_is_in_force_again_and_a_bad_checkpoint_costs_only_its_arms() -> None:
    bench = Bench()
    bench.start(*TESTED)
    bench.poll()
    saved = bench.watch.saved
    assert saved is not None
    node = bench.node()
    node.restore(SavedSnapshot())
    assert node.running(NOW) == ()
    node.restore(SavedSnapshot(experiments=saved))
    [made] = node.running(NOW)
    assert made.arms[0].policy is not None
    assert node.memory.highest["experiments"] == NOW + 1
    broken = replace(saved.checkpoints["v1"], blobs={})
    node = bench.node()
    with pytest.raises(Exception, match="v1"):
        node.restore(SavedSnapshot(experiments=SavedExperiments(saved.record, {"v1": broken})))
    [made] = node.running(NOW)
    assert made.arms[0].policy is None
