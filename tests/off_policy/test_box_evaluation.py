"""SNIPS, DR and kernel SNIPS of the mixed measure against worlds with a known truth."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
import pytest
from scipy.stats import truncnorm

from off_policy.box_evaluation import KERNEL_SNIPS, evaluate_box_policies, expected_rewards
from off_policy.box_log import BoxLog
from off_policy.box_policies import kernel_policy, logged_policy, normal_policy, production_policy, uniform_vectors
from off_policy.doubly_robust import ModelledSample, doubly_robust
from off_policy.estimates import Estimate, RefusalCode
from off_policy.evaluation_report import EvaluationReport
from off_policy.intervals import EvidenceRequirements
from off_policy.inverse_propensity import ips, self_normalised_mean, snips
from off_policy.numeric_arrays import FloatArray
from off_policy.response_surface import ResponseSurface
from off_policy.sampling_design import SamplingDesign
from off_policy.truncated_normals import TruncatedNormals
from tests.off_policy.box_worlds import MEAN, NEAR_A_BOUND, SD, SHARE, SPREAD, BoxWorld, rate

REPLICATIONS, ROWS = 200, 250
DENSITIES = SamplingDesign()
REQUIREMENTS = EvidenceRequirements(0.95, 20, 2)
Kind = Literal["uniform", "normal"]
WORLDS: list[tuple[int, Kind]] = [(1, "uniform"), (1, "normal"), (2, "uniform"), (3, "normal")]


class WrongModel:
    """Half of the truth: a model that alone would be far off."""

    def predict(self, vectors: FloatArray) -> FloatArray:
        return 0.5 * rate(vectors)[:, None]


@dataclass(frozen=True)
class Replications:
    """Many logs of ROWS rows each, with a policy's weights and what the wrong model expects."""

    weights: FloatArray
    rewards: FloatArray
    q_logged: FloatArray
    q_policy: FloatArray
    truth: float

    def samples(self) -> list[ModelledSample]:
        parts = (
            each.reshape(REPLICATIONS, ROWS) for each in (self.weights, self.rewards, self.q_logged, self.q_policy)
        )
        return [ModelledSample(w, r, q, expected, DENSITIES) for w, r, q, expected in zip(*parts, strict=True)]


@cache
def replicated(width: int, kind: Kind) -> Replications:
    world = BoxWorld(width, kind)
    log = world.draw(REPLICATIONS * ROWS, np.random.default_rng(width))
    policy = normal_policy("p", *world.target(log.rows))
    truth = world.truth(np.full(width, MEAN), np.full(width, SPREAD))
    expected = expected_rewards(log, policy, WrongModel())[:, 0]
    rewards = log.decisions.reward[:, 0]
    return Replications(
        policy.importance(log), rewards, WrongModel().predict(log.served_vectors)[:, 0], expected, truth
    )


def answers(width: int, kind: Kind, estimator: str) -> list[Estimate]:
    samples = replicated(width, kind).samples()
    if estimator == "dr":
        return [doubly_robust(sample, REQUIREMENTS) for sample in samples]
    estimate = {"ips": ips, "snips": snips}[estimator]
    return [estimate(sample.weights, sample.rewards, REQUIREMENTS, DENSITIES) for sample in samples]


@pytest.mark.parametrize("estimator", ["ips", "snips", "dr"])
@pytest.mark.parametrize(("width", "kind"), WORLDS)
def test_it_is_right_in_the_mean_and_its_interval_covers(width: int, kind: Kind, estimator: str) -> None:
    found, truth = answers(width, kind, estimator), replicated(width, kind).truth
    values = np.array([each.value for each in found])
    assert abs(values.mean() - truth) < 3.5 * values.std() / math.sqrt(REPLICATIONS) + 0.01 * truth
    intervals = [each.interval for each in found if each.interval is not None]
    assert len(intervals) == REPLICATIONS
    covered = np.mean([each.lower <= truth <= each.upper for each in intervals])
    assert 0.90 <= covered <= 0.995


def test_the_models_expectation_is_unbiased() -> None:
    """E q under the policy is known by quadrature; a lattice of another density would be off."""
    mine = replicated(2, "uniform")
    assert mine.q_policy.mean() == pytest.approx(0.5 * mine.truth, rel=2e-3)


def left(mean: float, sd: float) -> float:
    """What a density that is not renormalised gives to the box, of 1."""
    return float(TruncatedNormals(np.array([mean]), np.array([sd])).mass[0])


@pytest.mark.parametrize("kind", ["uniform", "normal"])
def test_an_untruncated_density_or_kernel_is_biased(kind: Kind) -> None:
    """The check of the right formula can fail: without the renormalisation IPS is off by more than 10 %."""
    mine, world = replicated(1, kind), BoxWorld(1, kind)
    value = np.mean(mine.weights * mine.rewards)
    assert value == pytest.approx(mine.truth, rel=0.02)
    assert value * left(MEAN, SPREAD) < 0.9 * mine.truth
    if kind == "normal":
        assert value / left(NEAR_A_BOUND, SD) > 1.1 * mine.truth
    log = world.draw(100_000, np.random.default_rng(3))
    near = kernel_policy("near", np.full((log.rows, 1), 0.05), np.array([0.05]))
    weights, rewards = near.importance(log), log.decisions.reward[:, 0]
    truth = world.truth(np.full(1, 0.05), np.full(1, 0.05))
    assert np.mean(weights * rewards) == pytest.approx(truth, rel=0.06)
    assert np.mean(weights * rewards) * left(0.05, 0.05) < 0.9 * truth


def test_a_kernel_is_right_for_the_smoothed_policy_and_biased_for_the_policy_itself() -> None:
    world = BoxWorld(1, "uniform")
    log = world.draw(200_000, np.random.default_rng(8))
    point, bandwidth = np.full(1, 0.35), np.array([0.25])
    weights = kernel_policy("k", np.tile(point, (log.rows, 1)), bandwidth).importance(log)
    value, error = self_normalised_mean(weights, log.decisions.reward[:, 0])
    assert abs(value - world.truth(point, bandwidth)) < 4 * error
    assert value < 0.9 * rate(point[None, :])[0]


def test_kernel_snips_equals_the_sums_written_out() -> None:
    """Kallus and Zhou 2018, self-normalised; the kernel is cut off at the bounds and renormalised."""
    log = BoxWorld(2, "uniform").draw(300, np.random.default_rng(9))
    centre, width = np.array([0.1, 0.6]), np.array([0.2, 0.3])
    kernel = np.ones(log.rows)
    for column in range(2):
        cut = (0.0 - centre[column]) / width[column], (1.0 - centre[column]) / width[column]
        kernel *= truncnorm.pdf(log.vectors[:, column], *cut, loc=centre[column], scale=width[column])
    weights = np.where(log.atom, 0.0, kernel / (1 - SHARE))  # production's rows are no vectors
    rewards = log.decisions.reward[:, 0]
    policy = kernel_policy("k", np.tile(centre, (log.rows, 1)), width)
    report = evaluate_box_policies(log, [policy], production_policy("production", log.rows), None, REQUIREMENTS)
    [estimate] = report.policies[0].objectives["click"].estimates.values()
    assert estimate.estimator == "kernel_snips"
    assert estimate.value == pytest.approx((weights * rewards).sum() / weights.sum(), rel=1e-9)


def evaluated(log: BoxLog, requirements: EvidenceRequirements = REQUIREMENTS) -> EvaluationReport:
    mean, sd = BoxWorld(1, "normal").target(log.rows)
    policies = [
        normal_policy("p", mean, sd),
        kernel_policy("k", mean, np.array([0.1])),
        uniform_vectors("u", log.rows),
        production_policy("again", log.rows),
        logged_policy("logged", log),
    ]
    return evaluate_box_policies(
        log, policies, production_policy("production", log.rows), ResponseSurface.of(log), requirements
    )


def test_a_report_has_every_policy_with_its_lift_over_production() -> None:
    log = BoxWorld(1, "normal").draw(3_000, np.random.default_rng(2))
    cohorts = np.array(["A", None], dtype=object)[np.arange(log.rows) % 2]
    log = replace(log, decisions=replace(log.decisions, cohort=cohorts))
    report = evaluated(log)
    ours = report.report_of("p").objectives["click"]
    assert set(ours.estimates) == {"ips", "snips", "clipped_ips", "dm", "dr", "sndr"}
    assert all(ours.estimates[name].gateable for name in ("ips", "snips", "dr", "sndr"))
    assert ours.dr_lift is not None
    assert ours.dr_lift.gateable and ours.dr_lift.value > 0.05
    kernel = report.report_of("k").objectives["click"]
    assert set(kernel.estimates) == {KERNEL_SNIPS}
    assert kernel.estimates[KERNEL_SNIPS].refusal is not None
    assert kernel.lift.refusal is not None
    assert kernel.lift.refusal.code is RefusalCode.BIASED_ESTIMATOR
    for estimator, estimate in report.report_of("logged").objectives["click"].estimates.items():
        if estimator != "dm":
            assert estimate.value == pytest.approx(log.decisions.reward.mean(), rel=1e-9), estimator
    assert report.report_of("again").objectives["click"].lift.value == 0.0
    assert report.report_of("p").cohorts["A"]["click"].estimates["snips"].n == 1_500
    assert EvaluationReport.from_dict(report.as_dict()).as_dict() == report.as_dict()


def test_an_answer_is_refused_by_what_does_not_depend_on_the_rewards_that_count() -> None:
    """Two logs that differ in the rewards near the policy, not in their number, get an answer or none, both."""
    log = BoxWorld(1, "normal").draw(1_000, np.random.default_rng(4))
    order = np.argsort(np.abs(log.served_vectors[:, 0] - MEAN))
    strict = EvidenceRequirements(0.95, 100, 30)
    for hits, answered in ((300, True), (8, False)):
        for rows in (order[-hits:], order[:hits]):
            reward = np.zeros((log.rows, 1))
            reward[rows] = 1.0
            report = evaluated(replace(log, decisions=replace(log.decisions, reward=reward)), strict)
            estimate = report.report_of("p").objectives["click"].estimates["snips"]
            assert (estimate.refusal is None) == answered
    thin = evaluated(BoxWorld(1, "normal").draw(20, np.random.default_rng(4)), strict)
    refusal = thin.report_of("p").objectives["click"].estimates["snips"].refusal
    assert refusal is not None
    assert refusal.code is RefusalCode.TOO_FEW_MATCHED_ROWS
