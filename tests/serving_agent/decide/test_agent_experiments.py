"""Online experiments in the agent: who is served what, and how it is logged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from event_schemas.slices import Slice
from policy_store.records.objective_weights import ObjectiveWeights
from serving_agent.decide.fallback_reason import FallbackReason
from serving_agent.decide.online_experiments import LoadedArm, LoadedExperiment
from tests.serving_agent.agent_desk import Desk, never_exploring, u
from tests.serving_samples import NOW, loaded, preferring, serving_experiment, snapshot_of


@pytest.fixture
def desks() -> Iterator[list[Desk]]:
    opened: list[Desk] = []
    yield opened
    for desk in opened:
        desk.close()


def experiment_of(*arms: LoadedArm, share: float = 1.0, log_rate: float = 0.1) -> LoadedExperiment:
    """The experiment x1, which runs now."""
    return LoadedExperiment("x1", share, arms, NOW - 10, NOW + 10, log_rate, NOW - 5)


def test_an_arm_serves_its_users_with_its_own_policy_and_preference(desks: list[Desk]) -> None:
    experiment = never_exploring()
    stable = loaded(experiment, preferring(experiment, repin=2, p2p=5), "v1")
    tested = loaded(experiment, preferring(experiment, repin=3, p2p=4), "v2")
    sweep = experiment_of(
        LoadedArm("x1/control", 0.2),
        LoadedArm("x1/p2p", 0.3, preference=ObjectiveWeights(77, (0.0, 1.0))),
        LoadedArm("x1/tested", 0.5, follows=False, policy=tested, preference=ObjectiveWeights(77, (0.0, 1.0))),
        share=0.4,
    )
    desk = Desk(experiment, snapshot_of(experiment, stable=stable, experiments=(sweep,)))
    desks.append(desk)
    served = {"control": ("v1", 2, 0), "p2p": ("v1", 5, 77), "tested": ("v2", 4, 77)}
    seen: Counter[str] = Counter()
    for index in range(400):
        user, decision = f"user{index}", desk.decide(user_id=f"user{index}")
        place = u("experiment-arm:x1", user)
        arm = "control" if place < 0.2 else "p2p" if place < 0.5 else "tested"
        arm = arm if u("experiment:x1", user) < 0.4 else ""
        seen[arm] += 1
        assert decision.facts.experiment_arm == (f"x1/{arm}" if arm else None)
        found = (decision.policy_version, decision.arm, decision.config_revision)
        assert found == served.get(arm, ("v1", 2, 0))
    assert min(seen[arm] for arm in ("", *served)) > 20
    nobody = [desk.decide(user_id=name) for name in (None, " ", "null", "None", "0", "undefined", "NaN")]
    assert {(each.policy_version, each.facts.experiment_arm) for each in nobody} == {("v1", None)}


def test_an_arm_whose_checkpoint_this_node_refuses_falls_back_and_stays_that_arm(desks: list[Desk]) -> None:
    experiment = never_exploring()
    stable = loaded(experiment, preferring(experiment, repin=2), "v1")
    sweep = experiment_of(LoadedArm("x1/control", 0.5), LoadedArm("x1/tested", 0.5, follows=False))
    desk = Desk(experiment, snapshot_of(experiment, stable=stable, experiments=(sweep,)))
    desks.append(desk)
    decisions = [desk.decide(user_id=f"user{index}") for index in range(100)]
    found = {(each.facts.experiment_arm, each.slice, each.fallback_reason) for each in decisions}
    fallen = ("x1/tested", Slice.FALLBACK, FallbackReason.NO_POLICY)
    assert found == {("x1/control", Slice.POLICY, None), fallen}


def test_the_arm_is_logged_in_every_slice(desks: list[Desk]) -> None:
    experiment = serving_experiment()
    sweep = experiment_of(LoadedArm("x1/a", 0.5), LoadedArm("x1/b", 0.5))
    desk = Desk(experiment, snapshot_of(experiment, experiments=(sweep,)))
    desks.append(desk)
    arms: dict[str, set[tuple[str | None, str]]] = {}
    for index in range(600):
        decision = desk.decide(f"r{index}", user_id=f"user{index % 7}")
        arms.setdefault(decision.slice, set()).add((decision.facts.experiment_arm, f"user{index % 7}"))
    assert arms["EXPLORE"] == arms["CONTROL"] == arms["FALLBACK"]


def test_log_rate_is_raised_for_all_while_an_experiment_runs(desks: list[Desk]) -> None:
    experiment = never_exploring(experiment={"log_rate": 0.1})
    sweep = experiment_of(LoadedArm("x1/a", 0.5), LoadedArm("x1/b", 0.5), share=0.01, log_rate=0.6)
    desk = Desk(experiment, snapshot_of(experiment, experiments=(sweep,)))
    desks.append(desk)
    raised = replace(experiment.exploration, log_rate=0.6)
    for index in range(200):
        facts = desk.decide(f"r{index}", user_id=f"user{index}").facts
        assert (facts.sampling_rate, facts.exploration) == (0.6, raised.digest)
        assert facts.logged == (u("log", f"r{index}") < 0.6)
    desk.holder.swap(snapshot_of(experiment))
    facts = desk.decide("after").facts
    assert (facts.sampling_rate, facts.exploration) == (0.1, experiment.exploration.digest)
    weaker = experiment_of(LoadedArm("x1/a", 0.5), LoadedArm("x1/b", 0.5), log_rate=0.05)
    desk.holder.swap(snapshot_of(experiment, experiments=(weaker,)))
    assert desk.decide("weaker").facts.sampling_rate == 0.1, "a rate is raised, never lowered"
