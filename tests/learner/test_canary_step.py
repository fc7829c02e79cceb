"""The next step of a canary: promoted, withdrawn, or left to run; and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment
from event_schemas.units import DAY_MS
from learner.canary_step import CanaryStep, decide
from learner.checkpoints.publishing import Publisher
from learner.examples.segment_store import SegmentStore
from learner.examples.stored_files import EXAMPLES_FOLDER
from learner.experiment_look import look_at
from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.experiment_reading import planned_experiment, running_canary
from policy_store.decisions.releases import kept_releases
from policy_store.records.channel_record import Channel, ChannelRecord
from policy_store.records.preference_record import PreferenceTarget
from tests.learner.arm_samples import decision
from tests.learner_samples import World, trust_of
from tests.policy_store.store_samples import set_preference
from tests.serving_samples import LEARNER_KEY, TRUSTED, StoreDesk, preferring

BEGIN = 1_800_000_000_000
EVALUATION = {
    "verdict": "pass",
    "preference": {"revision": 0, "default": [0.7, 0.3], "cohorts": {}},
    "lifts": {"repin": {"relative": 0.2, "relative_interval": {"lower": 0.1, "upper": 0.3, "level": 0.97}}},
}


@dataclass
class Canary:
    """A canary `v1` of 300 users beside as many in its control, and what they did."""

    experiment: Experiment
    world: World
    directory: Path
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.desk = StoreDesk(self.experiment, MemoryStore(self.experiment.name), BEGIN)
        self.desk.publish("v1", preferring(self.experiment, repin=3), evaluation=EVALUATION)
        rule = replace(trust_of(LEARNER_KEY, self.experiment), trusted=TRUSTED)
        self.publisher = Publisher(self.desk.store, LEARNER_KEY, self.experiment, lambda: self.desk.now, rule)
        self.publisher._point(Channel.CANARY, "v1", "pass", self.desk.store.acquire_lease("learner", 0.001).token)
        self.desk.now += 1000
        self.step = CanaryStep(self.publisher, self.directory, lambda _, detail: self.said.append(detail))

    def serve(self, rates: dict[str, tuple[float, float]], days: int = 8, per_day: int = 1) -> None:
        """Each user's requests; `rates` are P(repin) and E[p2p] by arm."""
        rng, examples = np.random.default_rng(3), list[dict[str, Any]]()
        for day in range(days):
            for user in range(600):
                arm = ("control", "canary")[user % 2]
                for _ in range(per_day):
                    repin, p2p = rates[arm]
                    done = {"repin": float(rng.random() < repin), "p2p": float(rng.poisson(p2p))}
                    at = self.desk.now + day * DAY_MS + len(examples) % 1000
                    more = {"user": f"u{user}", "arm": f"canary-v1/{arm}", "at": at}
                    examples.append(decision(self.world, len(examples), **done, **more))
        with SegmentStore(self.directory / EXAMPLES_FOLDER, "t.examples", 10**15) as store:
            store.append(self.world.decoded(examples), {0: len(examples)})
        self.desk.now += days * DAY_MS

    def prefer(self, alpha: float) -> None:
        """People approve another preference."""
        set_preference(self.desk.store, PreferenceTarget.of(alpha=alpha), self.desk.decider())

    def take(self) -> str:
        """The step of one look."""
        taken = self.step.take()
        assert taken is not None
        return taken.step

    def stable(self) -> ChannelRecord | None:
        signed = self.desk.store.channel("stable")
        return None if signed is None else ChannelRecord.parse(signed.record)


@pytest.fixture
def canary(make_experiment: Callable[..., Experiment], codec: Codec, tmp_path: Path) -> Canary:
    experiment = make_experiment(gate={"approval": "auto", "margin": 0.2}, serving={"canary_share": 0.3})
    return Canary(experiment, World(experiment, codec), tmp_path)


def test_a_superior_canary_is_promoted_and_its_lifts_are_kept(canary: Canary) -> None:
    canary.serve({"control": (0.3, 0.3), "canary": (0.45, 0.45)})
    assert canary.take() == "promote"
    stable = canary.stable()
    assert stable is not None
    assert (stable.version, stable.by) == ("v1", "learner")
    assert stable.reason.startswith("superior online: repin is superior; p2p is superior; repin +")
    assert running_canary(canary.desk.store, canary.publisher.rule) is None
    assert canary.step.take() is None, "there is no canary any more"
    [kept] = kept_releases(canary.desk.store)
    assert (kept["version"], kept["ended"], kept["users"], kept["by"]) == ("v1", "promoted", 600, "learner")
    assert kept["offline"]["repin"] == {"lift": 0.2, "interval": [0.1, 0.3], "level": 0.97}
    online = kept["online"]["repin"]
    assert 0.3 < online["lift"] < 0.7
    assert online["interval"][0] < online["one_look"][0] < online["lift"]


def test_a_harmed_canary_is_withdrawn_at_once(canary: Canary) -> None:
    canary.serve({"control": (0.3, 0.45), "canary": (0.45, 0.3)}, days=2)
    assert canary.take() == "withdraw"
    signed = canary.desk.store.channel("canary")
    assert signed is not None
    record = ChannelRecord.parse(signed.record)
    assert (record.version, record.withdrawn, record.reason) == ("v1", True, "p2p is harmed")
    assert canary.stable() is None
    assert kept_releases(canary.desk.store)[0]["ended"] == "withdrawn"


def test_a_canary_that_changes_nothing_stays_until_its_time_is_over(canary: Canary) -> None:
    canary.serve({"control": (0.3, 0.3), "canary": (0.3, 0.3)})
    assert canary.take() == "wait"
    assert kept_releases(canary.desk.store) == []
    canary.desk.now = BEGIN + 28 * DAY_MS + 1000
    assert canary.take() == "withdraw"
    assert "no verdict after 28 days: no objective is superior" in canary.said[-1]
    assert running_canary(canary.desk.store, canary.publisher.rule) is None


def test_superiority_waits_for_a_whole_week(canary: Canary) -> None:
    canary.serve({"control": (0.3, 0.3), "canary": (0.6, 0.6)}, days=3)
    assert canary.take() == "wait"
    assert "do not span 7 days yet" in canary.said[-1]
    canary.desk.now = BEGIN + 34 * DAY_MS
    assert canary.take() == "wait", "its requests may come late, such as after a deployment"
    canary.desk.now = BEGIN + 35 * DAY_MS + 1000
    assert canary.take() == "withdraw"
    assert "its requests span 2.0 of 7 days after 35 days: its traffic has stopped" in canary.said[-1]
    assert canary.stable() is None


@pytest.mark.parametrize(("alpha", "step"), [(0.3, "promote"), (0.6, "withdraw")])
def test_what_passed_under_another_preference_is_not_promoted(canary: Canary, alpha: float, step: str) -> None:
    canary.serve({"control": (0.3, 0.3), "canary": (0.45, 0.45)})
    canary.prefer(alpha)
    assert canary.take() == step
    assert canary.said[-1].endswith("the preference has changed since it passed") is (step == "withdraw")
    assert (canary.stable() is None) is (step == "withdraw")
    assert kept_releases(canary.desk.store)[0]["ended"] == {"promote": "promoted", "withdraw": "withdrawn"}[step]


def test_harm_withdraws_under_any_preference(canary: Canary) -> None:
    canary.serve({"control": (0.3, 0.45), "canary": (0.45, 0.3)}, days=2)
    canary.prefer(0.6)
    assert canary.take() == "withdraw"
    assert canary.said[-1].endswith("p2p is harmed")


def test_the_time_limit_of_a_superior_canary_is_for_people(canary: Canary) -> None:
    canary.serve({"control": (0.3, 0.3), "canary": (0.6, 0.6)}, days=3)
    canary.desk.now = BEGIN + 28 * DAY_MS + 1000
    plan = planned_experiment(canary.desk.store, "canary-v1", canary.publisher.rule, canary.experiment)
    look = look_at(plan, canary.directory, canary.experiment, 0.05)
    manifest, gate = canary.desk.store.get_checkpoint("v1").parsed(), canary.experiment.gate
    step, reason = decide(look, manifest, gate)
    assert (step, reason.endswith("superior, but its requests do not span 7 days yet")) == ("wait", True)
    step, reason = decide(look, manifest.model_copy(update={"evaluation": {"verdict": "inconclusive"}}), gate)
    assert (step, reason.endswith("superior, but people did not decide within 28 days")) == ("withdraw", True)


def test_a_version_that_becomes_a_canary_again_has_its_whole_time(canary: Canary) -> None:
    canary.publisher.withdraw("v1", "tried out")
    canary.desk.now = BEGIN + 40 * DAY_MS
    canary.publisher._point(Channel.CANARY, "v1", "again", canary.desk.store.acquire_lease("learner", 0.001).token)
    canary.desk.now += DAY_MS
    assert canary.take() == "wait"


def test_without_rows_on_this_machine_it_waits(canary: Canary) -> None:
    assert canary.take() == "wait"
    assert "there are too few users to check the split" in canary.said[-1]


def test_what_did_not_pass_the_gate_is_left_to_people(canary: Canary) -> None:
    canary.serve({"control": (0.3, 0.3), "canary": (0.6, 0.6)})
    plan = planned_experiment(canary.desk.store, "canary-v1", canary.publisher.rule, canary.experiment)
    look = look_at(plan, canary.directory, canary.experiment, 0.05)
    manifest = canary.desk.store.get_checkpoint("v1").parsed()
    assert decide(look, manifest, canary.experiment.gate)[0] == "promote"
    unsure = manifest.model_copy(update={"evaluation": {"verdict": "inconclusive"}})
    step, reason = decide(look, unsure, canary.experiment.gate)
    assert (step, reason.endswith("but the gate's verdict is inconclusive: people decide")) == ("wait", True)


@pytest.mark.parametrize("rates", [(0.6, 0.6), (0.1, 0.1)])
def test_under_manual_approval_it_only_says_what_it_sees(canary: Canary, rates: tuple[float, float]) -> None:
    canary.serve({"control": (0.3, 0.3), "canary": rates})
    gate = canary.experiment.gate.model_copy(update={"approval": "manual"})
    manual = canary.experiment.model_copy(update={"gate": gate})
    publisher: Any = replace(canary.publisher, experiment=manual)
    taken = replace(canary.step, publisher=publisher).take()
    assert taken is not None
    assert (taken.done, taken.step != "wait") == (False, True)
    assert canary.said[-1].endswith("; people decide")
    assert canary.stable() is None
    assert running_canary(canary.desk.store, canary.publisher.rule) == "canary-v1"
