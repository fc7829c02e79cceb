"""The sample-ratio test: quiet on honest logs, loud on broken ones."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment
from event_schemas.slices import exploration_distribution
from learner.examples.learning_rows import LearningRows
from learner.judgement.gate import UNSOUND_P_VALUE
from learner.judgement.inverse_propensity import FEWEST_FOREIGN
from tests.learner_samples import World, check_log


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


SIZES = (300, 2_000, 3_001)


def catalogue(arms: int) -> dict[str, Any]:
    """Sections of an experiment with arms that are explored equally often."""
    listed = [{"name": f"a{arm}", "features": [float(arm)]} for arm in range(arms)]
    return {"weights": [], "catalogue": {"production": "a0", "features": ["x"], "arms": listed}}


SPACES: dict[str, dict[str, Any]] = {"grid": {}, "4 arms": catalogue(4), "30 arms": catalogue(30)}


@dataclass(frozen=True)
class HonestLog:
    """Rows that were drawn as logged, to be logged with other propensities."""

    rows: LearningRows
    experiment: Experiment

    def propensities(self, count: int) -> np.ndarray:
        return self.rows.propensities[:count].copy()

    def p_value(self, propensities: np.ndarray) -> float:
        rows = replace(self.rows.take(np.arange(len(propensities))), propensities=propensities)
        found = check_log(rows, self.experiment).p_value
        assert found is not None
        return found


@pytest.fixture(scope="module", params=SPACES)
def honest(request: pytest.FixtureRequest, make_experiment: Callable[..., Experiment], codec: Codec) -> HonestLog:
    experiment = make_experiment(**SPACES[request.param])
    world = World(experiment, codec, seed=1, truth=lambda users, features: np.full((len(users), 2), 0.1))
    return HonestLog(world.rows(world.examples(SIZES[-1])), experiment)


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("factor", [0.5, 2, 25])
def test_a_constant_wrong_factor_never_passes(honest: HonestLog, count: int, factor: float) -> None:
    assert honest.p_value(np.minimum(1.0, factor * honest.propensities(count))) < UNSOUND_P_VALUE


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("digits", [3, 4, 5])
def test_correct_propensities_may_be_rounded(honest: HonestLog, count: int, digits: int) -> None:
    exact = honest.p_value(honest.propensities(count))
    assert honest.p_value(np.round(honest.propensities(count), digits)) == exact > UNSOUND_P_VALUE


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("share", [0.0, 0.005])
@pytest.mark.parametrize("factor", [0.5, 2])
def test_an_odd_row_never_passes(honest: HonestLog, count: int, share: float, factor: float) -> None:
    propensities = honest.propensities(count)
    propensities[: max(1, round(share * count))] *= factor
    assert honest.p_value(propensities) < UNSOUND_P_VALUE


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


@pytest.mark.parametrize("digits", [3, 17])
def test_another_policys_uniform_log_passes_however_it_is_rounded(
    honest: HonestLog, make_experiment: Callable[..., Experiment], digits: int
) -> None:
    """Every term of the mean is the same, so that it has no variance."""
    arms = len(honest.experiment.action_space.weights)
    experiment = make_experiment(**catalogue(arms))
    drawn = np.arange(arms * 70) % arms
    rows = replace(honest.rows.take(drawn), arms=drawn, propensities=np.full(len(drawn), round(1 / arms, digits)))
    biased = make_experiment(
        experiment={"name": "small", "salt": "s", "exploration_rate": 0.5, "production_share": 0.5}
    )
    for declared in (experiment, *([biased] if arms == 10 else [])):
        assert check_log(rows, declared).p_value == pytest.approx(1.0)


def drawn_from(honest: HonestLog, shares: np.ndarray, count: int, seed: int = 0) -> LearningRows:
    """Rows of another policy with these shares, logged correctly."""
    arms = np.random.default_rng(seed).choice(len(shares), size=count, p=shares)
    rows = honest.rows.take(np.arange(count) % honest.rows.count)
    return replace(rows, arms=arms, propensities=shares[arms])


@pytest.mark.parametrize("rare", [0.001, 0.0])
def test_another_policy_may_draw_some_arms_rarely_or_never(honest: HonestLog, rare: float) -> None:
    arms = len(honest.experiment.action_space.weights) or len(honest.experiment.action_space.features)
    shares = np.full(arms, rare / (arms - 1))
    shares[1] = 1 - rare
    found = [check_log(drawn_from(honest, shares, 100, seed), honest.experiment).p_value for seed in range(20)]
    assert all(p is not None and p > UNSOUND_P_VALUE for p in found)


@pytest.mark.parametrize("share", [0.03, 0.3])
def test_rows_of_another_policy_may_be_mixed_with_ours(honest: HonestLog, share: float) -> None:
    """Though it gives some arms what the exploration gives them."""
    theirs = exploration_distribution(honest.experiment.action_space, (), honest.experiment.production_share)
    end = 1 + (len(theirs) - 1) // 2 * 2
    theirs[1:end:2], theirs[2 : end + 1 : 2] = 1.5 * theirs[1:end:2], 0.5 * theirs[2 : end + 1 : 2]
    for seed in range(10):
        other = drawn_from(honest, theirs, 4 * FEWEST_FOREIGN + round(share * 3_001), seed)
        arms, propensities = honest.rows.arms.copy(), honest.rows.propensities.copy()
        arms[: other.count], propensities[: other.count] = other.arms, other.propensities
        p_value = check_log(replace(honest.rows, arms=arms, propensities=propensities), honest.experiment).p_value
        assert p_value is not None and p_value > UNSOUND_P_VALUE


@pytest.mark.parametrize("count", [19, 100])
def test_an_odd_row_of_a_short_log_never_passes(honest: HonestLog, count: int) -> None:
    for odd in (1, 6):
        propensities = honest.propensities(count)
        propensities[:odd] *= 2
        assert honest.p_value(propensities) == 0.0


@pytest.mark.parametrize("bad", [math.nan, 0.0, -0.1, 1.5])
def test_impossible_propensities_never_pass(honest: HonestLog, bad: float) -> None:
    propensities = honest.propensities(100)
    propensities[:50] = bad
    assert honest.p_value(propensities) == 0.0


def test_a_row_that_contradicts_the_probabilities_it_logs_never_passes(experiment: Experiment, world: Any) -> None:
    examples = world.examples(400)
    design = exploration_distribution(experiment.action_space, (), experiment.production_share)
    for example in examples:
        example["propensity"]["probabilities"] = design.tolist()
    sound = check_log(world.rows(examples), experiment)
    assert sound.p_value is not None and sound.p_value > UNSOUND_P_VALUE
    examples[7]["propensity"]["propensity"] = 0.2
    found = check_log(world.rows(examples), experiment)
    assert (found.p_value, found.method) == (0.0, "declared")
    assert "request 'r000007' has the propensity 0.2" in found.detail


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


def test_lists_of_one_length_allow_different_arms(make_experiment: Callable[..., Experiment], codec: Codec) -> None:
    """Two of four arms have the propensity 1/2 in every row, and all four are drawn, from different pairs."""
    experiment = make_experiment(**catalogue(4))
    world, rng = World(experiment, codec), np.random.default_rng(4)
    examples = []
    for number in range(200):
        pair = sorted(rng.choice(4, size=2, replace=False).tolist())
        example = world.example(number, int(rng.choice(pair)), 0.5, [0.0] * 4, [0.0, 0.0])
        example["action"]["eligible"] = pair
        example["propensity"]["exploration"] = "f" * 64
        examples.append(example)
    found = check_log(world.rows(examples), experiment)
    assert found.p_value == 1.0 and "settings that are not kept here" in found.detail
    for example in examples:
        example["propensity"]["propensity"] = 0.6
    found = check_log(world.rows(examples), experiment)
    assert (found.method, found.p_value) == ("inverse_propensity", 0.0)
