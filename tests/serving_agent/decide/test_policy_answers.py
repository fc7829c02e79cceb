"""Distributions are served as they were answered, with the probability or density of what was drawn, or not at all."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from event_schemas.exploration import ExplorationDraws
from event_schemas.truncated_normal import LEAST_SD, MOST_SD
from serving_agent.decide.policy_answers import (
    AnswerDraws,
    ArmProbabilities,
    BoxProposals,
    PolicyChoice,
    SamplingNetwork,
    UnusableAnswer,
)
from simulator.reference_policies import NormalPolicy, SoftmaxPolicy
from tests.serving_samples import box_experiment, serving_experiment

GRID, BOX = serving_experiment(), box_experiment()
ON_GRID, IN_BOX = (
    AnswerDraws(each.action_space, ExplorationDraws(each.action_space, each.exploration)) for each in (GRID, BOX)
)
ARMS = GRID.action_space.arms
LOW, HIGH = BOX.action_space.low, BOX.action_space.high
SPAN = HIGH - LOW
MEAN, SD = [100.0, 5.0], [20.0, 3.0]


def test_without_sampling_the_most_probable_arm_or_the_mean_is_served() -> None:
    probabilities = np.full(ARMS, 0.4 / (ARMS - 2))
    probabilities[[3, 5]] = 0.3
    assert ON_GRID.most_likely(arms(probabilities), ()) == PolicyChoice(3), "of equal ones the lowest"
    assert ON_GRID.most_likely(arms(probabilities), (1, 5)) == PolicyChoice(5)
    assert IN_BOX.most_likely(proposals(), ()) == PolicyChoice(0, vector=tuple(MEAN)), "nothing drawn, no density"
    assert IN_BOX.most_likely(proposals(), (1,)) == PolicyChoice(BOX.action_space.production_arm)
    with pytest.raises(UnusableAnswer, match="outside the box"):
        IN_BOX.most_likely(proposals(mean=[1e6, 5.0]), ())
    with pytest.raises(UnusableAnswer, match="the action space is a grid"):
        ON_GRID.most_likely(proposals(), ())


def accepts(policy: SoftmaxPolicy | NormalPolicy) -> SamplingNetwork:
    """Type-checked: the reference policies are networks."""
    return policy


def u(purpose: str, request_id: str) -> float:
    digest = hashlib.sha256(f"pepper\x00{purpose}\x00{request_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def arms(*rows: Any, dtype: Any = np.float64) -> ArmProbabilities:
    return ArmProbabilities(np.array(rows, dtype=dtype))


def proposals(mean: Any = None, sd: Any = None) -> BoxProposals:
    return BoxProposals(np.array([MEAN if mean is None else mean]), np.array([SD if sd is None else sd]))


def softmax(seed: int, dtype: Any = np.float64) -> NDArray[Any]:
    logits = np.random.default_rng(seed).normal(0.0, 2.0, ARMS).astype(dtype)
    exponentials = np.exp(logits)
    return np.asarray(exponentials / exponentials.sum())


@pytest.mark.parametrize("eligible", [(), (1, 4, 9), (7,)])
def test_arms_come_as_often_as_their_logged_propensity_says(eligible: tuple[int, ...]) -> None:
    whole, total = softmax(3), 1_500
    drawn = [ON_GRID.draw_served(f"r{number}", arms(whole), eligible) for number in range(total)]
    allowed = np.isin(np.arange(ARMS), eligible or np.arange(ARMS))
    expected = np.where(allowed, whole, 0.0) / whole[allowed].sum()
    counts = Counter(each.arm for each in drawn)
    for arm, probability in enumerate(expected):
        sigma = math.sqrt(probability * (1 - probability) / total)
        assert abs(counts[arm] / total - probability) <= 4.5 * sigma
    for each in drawn:
        np.testing.assert_allclose(each.probabilities, expected, rtol=1e-12)
        assert each.arm is not None and each.propensity == each.probabilities[each.arm] > 0.0
        assert (each.vector, each.log_density, each.reason) == ((), None, None)


def test_the_coin_policy_chooses_the_arm() -> None:
    whole = softmax(5)
    for number in range(200):
        reached = np.cumsum(whole / whole.sum())
        expected = int(np.searchsorted(reached, u("policy", f"r{number}"), side="right"))
        assert ON_GRID.draw_served(f"r{number}", arms(whole), ()).arm == expected


@pytest.mark.parametrize("eligible", [(), (0,), (0, 1)])
def test_vectors_come_from_the_proposal_and_carry_its_density(eligible: tuple[int, ...]) -> None:
    sides = [
        stats.truncnorm((low - m) / sd, (high - m) / sd, m, sd)
        for low, high, m, sd in zip(LOW, HIGH, MEAN, SD, strict=True)
    ]
    drawn = [IN_BOX.draw_served(f"r{number}", proposals(), eligible) for number in range(800)]
    vectors = np.array([each.vector for each in drawn])
    assert ((vectors >= LOW) & (vectors <= HIGH)).all()
    for column, side in enumerate(sides):
        assert stats.kstest(vectors[:, column], side.cdf).pvalue > 1e-4
        assert side.ppf(u(f"policy:{BOX.action_space.weight_names[column]}", "r7")) == pytest.approx(vectors[7, column])
    for each in drawn[:50]:
        true = sum(side.logpdf(x) + math.log(span) for side, x, span in zip(sides, each.vector, SPAN, strict=True))
        assert (each.arm, each.propensity, each.probabilities) == (0, 1.0, ())
        assert each.log_density == pytest.approx(true, abs=1e-9)


def test_where_only_production_is_eligible_it_is_served() -> None:
    assert IN_BOX.draw_served("r", proposals(), (1,)) == IN_BOX.draw_shadowed("r", proposals(), (1,)) == PolicyChoice(1)


def test_a_shadow_logs_the_arm_it_would_serve_or_its_mean() -> None:
    whole = softmax(1)
    assert ON_GRID.draw_shadowed("r", arms(whole), ()) == ON_GRID.draw_served("r", arms(whole), ())
    assert IN_BOX.draw_shadowed("r", proposals(), ()) == PolicyChoice(0, vector=tuple(MEAN))


def test_32_bits_are_enough() -> None:
    """A softmax of 32 bits does not sum to 1 exactly, and a mean at a bound may be rounded beyond it."""
    for seed in range(50):
        choice = ON_GRID.draw_served(f"r{seed}", arms(softmax(seed, np.float32), dtype=np.float32), ())
        assert math.fsum(choice.probabilities) == pytest.approx(1.0, abs=1e-12)
    box = box_experiment()
    edge = BoxProposals(np.array([np.float32(HIGH)], dtype=np.float32), np.array([SD], dtype=np.float32))
    for beyond in (edge, proposals(mean=HIGH + 0.5e-6 * SPAN), proposals(mean=LOW - 0.5e-6 * SPAN)):
        vector = np.array(IN_BOX.draw_served("r", beyond, ()).vector)
        assert ((vector >= box.action_space.low) & (vector <= box.action_space.high)).all()


@pytest.mark.parametrize("share", [LEAST_SD, MOST_SD])
def test_an_sd_that_32_bits_round_beyond_its_bound_is_moved_to_it(share: float) -> None:
    bounds = share * SPAN
    whole, rounded = proposals(sd=bounds), BoxProposals(np.array([MEAN]), np.array([bounds], dtype=np.float32))
    for scale in (1.0, 1.0 - 5e-7, 1.0 + 5e-7):
        answer = BoxProposals(rounded.mean, rounded.sd.astype(np.float64) * scale)
        served, exact = (IN_BOX.draw_served("r", each, ()) for each in (answer, whole))
        assert served.log_density == pytest.approx(exact.log_density, abs=1e-4)
        assert served.vector == pytest.approx(exact.vector, rel=1e-5)
    for beyond in (0.9 if share == LEAST_SD else 1.1, math.nan):
        with pytest.raises(UnusableAnswer, match="distance of the bounds"):
            IN_BOX.draw_served("r", proposals(sd=beyond * bounds), ())


EVEN = [1 / ARMS] * ARMS
TINY = [[1.0, *[0.0] * (ARMS - 1)]]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (arms([math.nan, *EVEN[1:]]), "below 0 or NaN"),
        (arms([-0.1, 1.1, *[0.0] * (ARMS - 2)]), "below 0 or NaN"),
        (arms([math.inf, *EVEN[1:]]), "sum to inf"),
        (arms([2 * each for each in EVEN]), "sum to 2"),
        (arms([0.0] * ARMS), "sum to 0"),
        (arms(EVEN[1:]), r"not \(n, 10\)"),
        (arms(), r"not \(n, 10\)"),
        (ArmProbabilities(np.array(EVEN)), r"not \(n, 10\)"),
        (ArmProbabilities(np.array([EVEN], dtype=object)), "floating-point"),
        (ArmProbabilities([EVEN]), "floating-point"),  # type: ignore[arg-type]
        (ArmProbabilities(np.array([[1] + [0] * (ARMS - 1)])), "floating-point"),
        (proposals(), "the action space is a grid"),
    ],
)
def test_unusable_answers_on_a_grid(answer: Any, message: str) -> None:
    for draw in (ON_GRID.draw_served, ON_GRID.draw_shadowed):
        with pytest.raises(UnusableAnswer, match=message) as told:
            draw("r", answer, ())
        assert told.value.fix


def test_eligible_arms_without_probability_are_unusable() -> None:
    with pytest.raises(UnusableAnswer, match="every eligible arm has probability 0"):
        ON_GRID.draw_served("r", arms(*TINY), (3, 4))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (proposals(mean=[math.nan, 5.0]), "outside the box"),
        (proposals(mean=[math.inf, 5.0]), "outside the box"),
        (proposals(mean=[9.0, 5.0]), "outside the box"),
        (proposals(mean=[100.0, 30.1]), "outside the box"),
        (proposals(sd=[math.nan, 3.0]), "distance of the bounds"),
        (proposals(sd=[0.0, 3.0]), "distance of the bounds"),
        (proposals(sd=[-1.0, 3.0]), "distance of the bounds"),
        (proposals(sd=[math.inf, 3.0]), "distance of the bounds"),
        (proposals(sd=0.9 * LEAST_SD * SPAN), "distance of the bounds"),
        (proposals(sd=1.1 * MOST_SD * SPAN), "distance of the bounds"),
        (proposals(mean=[100.0]), r"mean has shape \(1, 1\)"),
        (proposals(sd=[1.0, 1.0, 1.0]), r"sd has shape \(1, 3\)"),
        (BoxProposals(np.array([["a", "b"]]), np.array([SD])), "floating-point"),
        (arms(EVEN), "a box has none"),
    ],
)
def test_unusable_answers_in_a_box(answer: Any, message: str) -> None:
    for draw in (IN_BOX.draw_served, IN_BOX.draw_shadowed):
        with pytest.raises(UnusableAnswer, match=message) as told:
            draw("r", answer, ())
        assert told.value.fix
