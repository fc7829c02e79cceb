"""The world fits the experiment or refuses it, and can be shifted in time by whole days."""

import numpy as np
import pytest

from event_schemas.errors import ExperimentError, SettingError
from event_schemas.experiment import load_experiment
from event_schemas.units import DAY_MS
from simulator.easy_world import EasyWorld
from simulator.homefeed_world import RunPlan, build_world, with_exploration_rate
from simulator.world_stage import WorldStage
from simulator.worlds.faults import Faults
from simulator.worlds.named_worlds import world
from tests.simulator_samples import HOMEFEED

START = 1_700_006_400_000
EXPERIMENT = load_experiment(HOMEFEED)
HIDE = EXPERIMENT.objectives[0].model_copy(update={"name": "hide", "kinds": ("hide",)})


def test_a_plan_moved_by_days_is_the_same_but_for_its_dates() -> None:
    (_, first), (_, moved) = (
        build_world(EXPERIMENT, RunPlan(1, 200, START + shift, START + shift + DAY_MS, users=50))
        for shift in (0, 400 * DAY_MS)
    )
    assert np.array_equal(first.number, moved.number) and np.array_equal(first.user, moved.user)
    assert set(moved.time - first.time) == {400 * DAY_MS}


def test_seeds_share_the_users_and_no_request() -> None:
    (easy, first), (other, second) = (
        build_world(EXPERIMENT, RunPlan(seed, 50, START, START + DAY_MS, users=50)) for seed in (1, 2)
    )
    assert isinstance(easy, EasyWorld) and isinstance(other, EasyWorld)
    assert np.array_equal(easy.feed.population.embedding, other.feed.population.embedding)
    assert not set(first.number) & set(second.number)


@pytest.mark.parametrize(("unit", "named"), [("session", True), ("user", False)])
def test_ids_name_the_session_where_the_log_keeps_it_together(unit: str, named: bool) -> None:
    logged = EXPERIMENT.model_copy(update={"experiment": EXPERIMENT.experiment.model_copy(update={"log_unit": unit})})
    easy, traffic = build_world(logged, RunPlan(1, 5, START, START + DAY_MS, users=50))
    assert isinstance(easy, EasyWorld)
    requests = [easy.features.request(traffic, index) for index in range(5)]
    assert {f"{each.request_id}".startswith(f"{each.session_id}~") for each in requests} == {named}


def test_the_exploration_rate_of_one_process() -> None:
    assert with_exploration_rate(EXPERIMENT, None) is EXPERIMENT
    changed = with_exploration_rate(EXPERIMENT, 0.95)
    assert changed.experiment.exploration_rate == 0.95
    assert changed.action_space.digest == EXPERIMENT.action_space.digest


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"objectives": EXPERIMENT.objectives[:1]}, r"\[\[objectives\]\] \['repin'\]"),
        ({"cohorts": ()}, r"\[\[cohorts\]\] \[\]"),
        ({"objectives": (*EXPERIMENT.objectives, HIDE)}, r"objectives\[hide\] counts \['hide'\]"),
        ({"join": EXPERIMENT.join.model_copy(update={"clock": "live"})}, "clock = 'live'"),
    ],
)
def test_an_experiment_that_does_not_fit_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ExperimentError, match=said):
        build_world(EXPERIMENT.model_copy(update=change), RunPlan(1, 10, START, START + DAY_MS))


@pytest.mark.parametrize("name", ["homefeed", "null"])
def test_a_named_world_is_its_own_whatever_the_salt(name: str) -> None:
    salted = EXPERIMENT.model_copy(
        update={"experiment": EXPERIMENT.experiment.model_copy(update={"salt": "another"})},
    )
    (one, first), (two, second) = (
        build_world(each, RunPlan(1, 200, START, START + DAY_MS, users=50, world=world(name)))
        for each in (EXPERIMENT, salted)
    )
    assert isinstance(one, WorldStage) and isinstance(two, WorldStage)
    assert np.array_equal(one.run.world.people.traits, two.run.world.people.traits)
    assert np.array_equal(first.user, second.user) and one.ranker_version == f"{name}/1"


def test_a_world_has_users_enough_for_two_requests_a_day_each() -> None:
    plan = RunPlan(1, 4_000, START, START + 2 * DAY_MS, world=world("homefeed"))
    assert plan.user_count == 1_000 and RunPlan(1, 4_000, START, START + DAY_MS).user_count == 3_000
    assert RunPlan(1, 1, START, START + 30 * DAY_MS, world=world("homefeed")).user_count == 20


def test_other_production_weights_and_faults_of_the_easy_world_are_refused() -> None:
    moved = EXPERIMENT.weights[0].model_copy(update={"production": 50.0})
    changed = EXPERIMENT.model_copy(update={"weights": (moved, EXPERIMENT.weights[1])})
    with pytest.raises(ExperimentError, match=r"made around \[91.6, 9.1\]"):
        build_world(changed, RunPlan(1, 10, START, START + DAY_MS, world=world("homefeed")))
    with pytest.raises(SettingError, match="has no faults"):
        build_world(EXPERIMENT, RunPlan(1, 10, START, START + DAY_MS, faults=Faults(missing=0.5)))


def test_further_objectives_may_count_the_same_engagements() -> None:
    three = load_experiment(HOMEFEED.with_name("three_objectives.toml"))
    _, traffic = build_world(three, RunPlan(1, 10, START, START + DAY_MS, users=50))
    assert len(three.objectives) == 3 and len(traffic) == 10
