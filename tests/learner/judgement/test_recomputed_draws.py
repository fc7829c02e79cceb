"""Every draw of our own log is recomputed: an honest one agrees to the last row, a tampered one names what differs."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment
from event_schemas.exploration import ExplorationDraws
from event_schemas.registry import Registry
from event_schemas.slices import coin
from learner.examples.learning_rows import COLUMNS
from learner.examples.row_settings import RowSettings
from learner.judgement.recomputed_draws import Contradictions, coins, contradictions
from serving_agent.decide.exploration_cap import ExplorationCap, RatedDraws
from tests.box_samples import DrawnWorld, box_experiment
from tests.learner_samples import World, experiment_document

CODEC = Codec(Registry.bundled())
RATES = {"name": "x", "salt": "pepper", "exploration_rate": 0.5, "control_rate": 0.3}
CATALOGUE = {
    "weights": [],
    "catalogue": {
        "production": "a0",
        "features": ["x"],
        "arms": [{"name": f"a{arm}", "features": [float(arm)]} for arm in range(7)],
    },
}
SPACES: dict[str, dict[str, Any]] = {
    "grid": {"experiment": RATES},
    "catalogue": {"experiment": RATES, **CATALOGUE},
    "session": {"experiment": RATES | {"exploration_unit": "session"}},
    "logged by user": {"experiment": RATES | {"log_unit": "user"}},
    "logged by session": {"experiment": RATES | {"log_unit": "session"}},
    "uniform": {
        "experiment": RATES | {"production_share": 0.3},
        "weights": [{"name": "a", "production": 0.0, "low": -3, "high": 5}],
    },
}


def experiment_of(kind: str) -> Experiment:
    return box_experiment() if kind == "normal" else Experiment.model_validate(experiment_document(**SPACES[kind]))


def frame_of(experiment: Experiment, examples: list[dict[str, Any]]) -> pl.DataFrame:
    return World(experiment, CODEC).decoded(examples).select(COLUMNS)


def found(experiment: Experiment, examples: list[dict[str, Any]], kept: Any = None) -> Contradictions:
    frame = frame_of(experiment, examples)
    return contradictions(frame, experiment.action_space, RowSettings.of(frame, experiment, kept or {}))


@pytest.mark.parametrize("kind", ["grid", "catalogue", "session", "uniform", "normal"])
def test_what_our_agents_draw_is_recomputed(kind: str) -> None:
    experiment = experiment_of(kind)
    examples = DrawnWorld(experiment, CODEC).examples(600)
    assert {example["action"]["slice"] for example in examples} == {"EXPLORE", "CONTROL"}
    assert found(experiment, examples) == Contradictions()


@pytest.mark.parametrize("kind", ["grid", "catalogue", "session", "uniform", "normal"])
def test_draws_under_a_cap_are_recomputed_although_their_rate_moves(kind: str) -> None:
    experiment = experiment_of(kind)
    draws = ExplorationDraws(experiment.action_space, experiment.exploration)
    highest = experiment.experiment.exploration_rate
    cap = ExplorationCap(highest, 20.0, lambda: 1.0)
    examples = DrawnWorld(experiment, CODEC, capped=RatedDraws(draws, highest, cap)).examples(2_000)
    chances = {
        example["propensity"]["slice_probability"] for example in examples if example["action"]["slice"] == "EXPLORE"
    }
    assert len(chances) > 20
    assert max(chances) <= highest
    assert {example["action"]["slice"] for example in examples} == {"EXPLORE", "CONTROL"}
    assert found(experiment, examples) == Contradictions()
    raised = examples[-1]["propensity"]
    raised["slice_probability"] = 1.5 * highest
    assert found(experiment, examples).count == 1


def test_coins_are_those_of_the_contract() -> None:
    ids = ["", "a", "s1~ü", "x" * 300]
    assert coins("salt", "weight:a", ids).tolist() == [coin("salt", "weight:a", each) for each in ids]


Change = tuple[str, str, Any]
BOX = box_experiment()
HONEST = DrawnWorld(BOX, CODEC).examples(200)


def index_of(slice_name: str, arm: int) -> int:
    return next(
        i for i, each in enumerate(HONEST) if (each["action"]["slice"], each["action"]["arm"]) == (slice_name, arm)
    )


VECTOR, ATOM, CONTROL = index_of("EXPLORE", 0), index_of("EXPLORE", 1), index_of("CONTROL", 1)


@pytest.mark.parametrize(
    ("row", "part", "change", "says"),
    [
        (VECTOR, "propensity", {"propensity": 0.8}, "the propensity 0.8 is logged, but 0.875 is drawn"),
        (VECTOR, "action", {"arm": 1}, "arm production is logged, but vector is drawn"),
        (ATOM, "action", {"arm": 0}, "arm vector is logged, but production is drawn"),
        (VECTOR, "action", {"weights": [50.0, 9.0]}, "the weight repin is logged as 50, but"),
        (ATOM, "action", {"weights": [20.0, 9.2]}, "the weight p2p is logged as 9.2, but 9.1 is drawn"),
        (VECTOR, "propensity", {"log_density": 0.0}, "the log density 0.0 is logged, but"),
        (VECTOR, "propensity", {"log_density": None}, "the log density None is logged, but"),
        (ATOM, "propensity", {"log_density": 0.5}, "the log density 0.5 is logged, but nan is drawn"),
        (VECTOR, "propensity", {"slice_probability": 1e-6}, "it explored at the rate 1e-06, but its coin is"),
        (VECTOR, "propensity", {"slice_probability": 0.6}, "rate is 0.6, the settings allow 0.5"),
        (VECTOR, "propensity", {"sampling_rate": 0.5}, "its sampling rate is 0.5, but EXPLORE is always logged"),
        (CONTROL, "propensity", {"slice_probability": 0.3}, "its exploration rate is -0.5"),
        (CONTROL, "propensity", {"slice_probability": 1e-6}, "logged as CONTROL with 1e-06, but draws another slice"),
        (VECTOR, "action", {"slice": "CONTROL"}, "logged as CONTROL"),
    ],
)
def test_a_row_that_was_not_drawn_so_is_named(row: int, part: str, change: dict[str, Any], says: str) -> None:
    examples = [dict(each) for each in HONEST]
    examples[row] = examples[row] | {part: examples[row][part] | change}
    result = found(BOX, examples)
    assert result.count == 1
    assert f"request '{examples[row]['request']['request_id']}': " in result.first
    assert says in result.first


def test_rows_keep_their_settings_when_the_file_changes() -> None:
    later = box_experiment(
        weights=[
            {"name": "repin", "production": 20.0, "low": 10, "high": 200, "sd": 100},
            {"name": "p2p", "production": 9.1, "low": 1, "high": 30, "sd": 16},
        ]
    )
    both = [*HONEST, *DrawnWorld(later, CODEC).examples(200, first=300)]
    kept = {BOX.exploration.digest: BOX.exploration}
    assert found(later, both, kept) == Contradictions()
    settings = RowSettings.of(frame_of(later, both), later, {})
    assert settings.unknown == {BOX.exploration.digest: len(HONEST)}
    assert found(later, both) == Contradictions()
    lied = [each | {"propensity": each["propensity"] | {"exploration": later.exploration.digest}} for each in HONEST]
    assert found(later, lied).count > 0.5 * len(HONEST)


def test_settings_of_another_action_space_draw_no_row() -> None:
    other = box_experiment(weights=[{"name": "repin", "production": 20.0, "low": 10, "high": 300, "sd": 50}])
    lied = [
        each | {"propensity": each["propensity"] | {"exploration": other.exploration.digest}} for each in HONEST[:5]
    ]
    result = found(BOX, lied, {other.exploration.digest: other.exploration})
    assert result.count == 5
    assert "do not fit the action space" in result.first


def test_eligible_arms_narrow_the_draw() -> None:
    experiment = experiment_of("grid")
    world = DrawnWorld(experiment, CODEC)
    rng = np.random.default_rng(0)
    examples = world.examples(300)
    draws = ExplorationDraws(experiment.action_space, experiment.exploration)
    for example in examples:
        if example["action"]["slice"] != "EXPLORE":
            continue
        eligible = sorted(
            rng.choice(experiment.action_space.arms, size=int(rng.integers(1, 6)), replace=False).tolist()
        )
        drawn = draws.explore(example["request"]["request_id"], eligible)
        example["action"] |= {"eligible": eligible, "arm": drawn.arm}
        example["propensity"] |= {"propensity": drawn.propensity}
    assert found(experiment, examples) == Contradictions()
