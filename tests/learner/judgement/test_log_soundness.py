"""The sample-ratio test: quiet on honest logs, loud on broken ones."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from event_schemas.experiment import Experiment
from event_schemas.slices import exploration_distribution
from learner.judgement.gate import UNSOUND_P_VALUE
from learner.judgement.log_soundness import check_log


def test_an_honest_log_is_rarely_doubted(experiment: Experiment, make_world: Any) -> None:
    values = [
        check_log(make_world(experiment, seed=seed).rows(make_world(experiment, seed=seed).examples(300)), experiment)
        for seed in range(30)
    ]
    p_values = [value.p_value for value in values]
    assert all(p is not None and p > UNSOUND_P_VALUE for p in p_values)
    assert sum(p < 0.1 for p in p_values if p is not None) <= 8
    assert {value.method for value in values} == {"chi_square"}


def test_a_wrong_arm_frequency_is_found(experiment: Experiment, world: Any) -> None:
    examples = world.examples(2000)
    for example in examples[:200]:  # a bug that serves arm 0 and logs the arm's own propensity
        example["action"]["arm"] = 0
        example["propensity"]["propensity"] = 0.875 / 9
    result = check_log(world.rows(examples), experiment)
    assert result.method == "chi_square"
    assert result.p_value is not None
    assert result.p_value < UNSOUND_P_VALUE


def test_a_propensity_counted_twice_is_found_without_knowing_the_design(experiment: Experiment, world: Any) -> None:
    examples = world.examples(500)
    for example in examples:
        example["propensity"]["propensity"] *= 0.0125
    result = check_log(world.rows(examples), experiment)
    assert result.method == "inverse_propensity"
    assert result.p_value is not None
    assert result.p_value < UNSOUND_P_VALUE


def test_another_policys_sound_log_passes(make_experiment: Callable[..., Experiment], make_world: Any) -> None:
    """Logged distributions explain their arms, whatever the experiment would have drawn itself."""
    experiment = make_experiment()
    world = make_world(experiment)
    rng = np.random.default_rng(0)
    design = np.array([0.3] + [0.7 / 9] * 9)
    examples = world.examples(1500)
    for example in examples:
        arm = int(rng.choice(10, p=design))
        example["action"]["arm"] = arm
        example["propensity"]["propensity"] = float(design[arm])
    by_weights = check_log(world.rows(examples), experiment)
    for example in examples:
        example["propensity"]["probabilities"] = design.tolist()
    by_counts = check_log(world.rows(examples), experiment)
    assert (by_weights.method, by_counts.method) == ("inverse_propensity", "chi_square")
    assert min(by_weights.p_value or 0, by_counts.p_value or 0) > 0.001


def test_eligible_arms_are_taken_into_account(experiment: Experiment, world: Any) -> None:
    examples = world.examples(600)
    for i, example in enumerate(examples):
        example["action"] |= {"eligible": [0, 1], "arm": i % 2}
        example["propensity"]["propensity"] = 0.5
    result = check_log(world.rows(examples), experiment)
    assert result.method == "chi_square"
    assert result.p_value == pytest.approx(1.0)


@given(
    place=st.integers(0, 9),
    value=st.floats() | st.sampled_from([math.nan, math.inf, 1e308, -1e308, -0.5, 2.0]),
    row=st.integers(0, 199),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_absurd_probability_does_not_condemn_the_log(
    place: int, value: float, row: int, experiment: Experiment, world: Any
) -> None:
    examples = world.examples(200)
    design = exploration_distribution(experiment.action_space, (), experiment.production_share).tolist()
    expected = check_log(world.rows(examples), experiment)
    examples[row]["propensity"]["probabilities"] = [*design[:place], value, *design[place + 1 :]]
    found = check_log(world.rows(examples), experiment)
    assert found.method == expected.method
    assert found.p_value == pytest.approx(expected.p_value)


def test_no_rows_no_answer(experiment: Experiment, world: Any) -> None:
    rows = world.rows(world.examples(1))
    assert check_log(rows.take(np.zeros(1, dtype=bool)), experiment).p_value is None
    assert check_log(rows, experiment).p_value == 1.0
