"""The experiment files of docs/guides/exploration.md can be loaded as they stand, and explore what the page says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from event_schemas.errors import ExperimentError
from event_schemas.experiment import Experiment, parse_experiment
from event_schemas.exploration import ExplorationDraws
from event_schemas.slices import Slice
from monitoring import metrics
from serving_agent.decide.exploration_cap import SPARE_S, Allowance
from serving_agent.pickup.node_heartbeat import heartbeat_lifetime_ms

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "exploration.md").read_text(encoding="utf-8")
BOX, SESSIONS, DAYS, GROUPS, CAPPED = re.findall(r"```toml\n(.*?)```", GUIDE, flags=re.DOTALL)


def read(text: str) -> Experiment:
    return parse_experiment(tomllib.loads(text), Path("trimtab.toml"))


def draws_of(text: str) -> ExplorationDraws:
    experiment = read(text)
    return ExplorationDraws(experiment.action_space, experiment.exploration)


def test_the_box_explores_around_production() -> None:
    draws = draws_of(BOX)
    explored = [draws.explore(f"r{number}") for number in range(2000)]
    vectors = [each.weights for each in explored if each.arm == 0]
    assert abs(len(vectors) / len(explored) - 0.875) < 0.03
    near = sum(abs(repin - 91.6) < 25 and abs(p2p - 9.1) < 4 for repin, p2p in vectors)
    assert 0.4 < near / len(vectors) < 0.6
    assert all(each.log_density is not None for each in explored if each.arm == 0)
    assert {each.arm for each in (draws.explore("r1", [0]), draws.explore("r1", [1]))} == {0, 1}


def test_without_kind_and_sd_the_box_is_uniform() -> None:
    plain = re.sub(r"(exploration_kind|sd) = .*\n", "", BOX)
    assert draws_of(plain).explore("r2", [0]).log_density == 0.0
    assert read(plain).action_space.digest == read(BOX).action_space.digest


def test_steps_of_some_weights_and_a_production_outside_are_refused() -> None:
    for broken in (BOX.replace("sd = 4", "steps = 4"), BOX.replace("91.6", "300"), BOX.replace("sd = 25", "sd = 1e-5")):
        with pytest.raises(ExperimentError):
            read(broken)


def test_sessions_explore_together() -> None:
    one, other = re.findall(r"`(s-17~\w+)`", GUIDE)
    draws = draws_of(SESSIONS)
    assert draws.unit(one) == draws.unit(other) == "s-17"
    assert draws.slice(one) == draws.slice(other)
    assert draws.explore(one, [0]).weights != draws.explore(other, [0]).weights
    assert draws.unit("null~4f9c") == "null~4f9c"


def test_days_of_users_are_logged_together_or_the_file_is_refused() -> None:
    assert [(each.name, each.per) for each in read(DAYS).counted] == [("repin", "request"), ("busy_days", "user-day")]
    draws = draws_of(DAYS)
    assert {draws.sampling(f"r{n}", Slice.POLICY, "u7").logged for n in range(50)} in ({True}, {False})
    with pytest.raises(ExperimentError, match=r"set experiment\.log_unit = 'user'"):
        read(DAYS.replace('log_unit = "user"\n', ""))


def test_groups_have_as_many_arms_as_the_page_says() -> None:
    assert read(GROUPS).action_space.arms == 5 * 5 + 1
    assert read(re.sub(r"group = .*\n", "", GROUPS)).action_space.arms == 125 + 1


def test_the_metric_is_there() -> None:
    [named] = set(re.findall(r"`trimtab_(\w+)_total`", GUIDE))
    assert f"{named}" in Path(metrics.__file__).read_text(encoding="utf-8")


def test_a_cap_holds_as_the_page_says() -> None:
    experiment = read(CAPPED)
    cap = experiment.experiment.exploration_cap
    assert cap is not None
    whole = Allowance.of(cap)
    [most] = re.findall(r"in any 60 s: ([\d,]+)\.", GUIDE)
    assert int(most.replace(",", "")) == round(60 * whole.rate + SPARE_S * whole.rate)
    lifetime = heartbeat_lifetime_ms(experiment.serving.heartbeat)
    assert re.findall(r"would expire, (\d+) s with the default", GUIDE) == [str(lifetime // 1_000)]
    assert Allowance.of(1 / 63 - 1e-6).kept == 0.0
