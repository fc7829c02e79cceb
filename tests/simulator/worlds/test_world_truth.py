"""The exact figures of the named worlds, as their summaries, the guide and issue after issue quote them."""

from functools import cache

import numpy as np
import pytest

from simulator.worlds.named_worlds import world
from simulator.worlds.world_truth import ALPHAS, WorldTruth, reference_requests, world_truth
from tests.world_samples import SPACE, WINDOWS

CORE, CASUAL = 0, 1
PRODUCTION = SPACE.production_arm


@cache
def truth_of(name: str, knowing: str = "everything") -> WorldTruth:
    reference = reference_requests(world(name))
    values = reference.values(SPACE, WINDOWS)
    if knowing == "cohorts":
        known = np.stack([values[reference.cohort == each].mean(axis=0) for each in range(3)])[reference.cohort]
        return world_truth(values, reference.cohort, PRODUCTION, known)
    if knowing == "no histories":
        known = reference.values_without_intent(SPACE, WINDOWS)
        return world_truth(values, reference.cohort, PRODUCTION, known)
    return world_truth(values, reference.cohort, PRODUCTION)


def test_no_static_arm_of_homefeed_is_worth_it() -> None:
    truth = truth_of("homefeed")
    assert 0 <= truth.best_static <= 0.02


def test_the_best_alpha_of_homefeed_raises_both_objectives_a_little() -> None:
    truth = truth_of("homefeed")
    assert 0.03 <= truth.best_chosen <= 0.08
    assert truth.best_chosen == pytest.approx(0.0453, abs=5e-4)


def test_extreme_alpha_of_homefeed_trade_one_objective_for_the_other() -> None:
    truth = truth_of("homefeed")
    for end, lost, won in ((0, 1, 0), (-1, 0, 1)):
        assert -0.20 <= truth.chosen[end, lost] <= -0.10 and truth.chosen[end, won] > 0.05
    assert truth.degrading == 15 >= 8
    assert truth.chosen[[0, -1]] == pytest.approx(np.array([[0.074, -0.180], [-0.187, 0.124]]), abs=1e-3)
    assert (np.diff(truth.chosen[:, 1]) >= -1e-12).all() and (np.diff(truth.chosen[:, 0]) <= 1e-12).all()


def test_no_alpha_of_homefeed_is_safe_in_every_cohort_but_each_cohort_has_safe_ones() -> None:
    safe = truth_of("homefeed").safe
    ranges = [(ALPHAS[safe[:, each]].min(), ALPHAS[safe[:, each]].max()) for each in (CORE, CASUAL)]
    assert np.array(ranges) == pytest.approx(np.array([[0.708, 0.875], [0.208, 0.583]]), abs=1e-3)
    assert not safe.all(axis=1).any() and safe.any(axis=0).all()
    # The two large cohorts alone rule every α out, with steps of the grid between them.
    assert ALPHAS[safe[:, CORE]].min() > ALPHAS[safe[:, CASUAL]].max() + 0.1


def test_histories_carry_signal_that_no_other_feature_of_homefeed_has() -> None:
    assert truth_of("homefeed", "no histories").best_chosen < 0.85 * truth_of("homefeed").best_chosen


def test_arms_by_cohort_leave_most_of_what_homefeed_has_to_give() -> None:
    assert truth_of("homefeed", "cohorts").best_chosen < 0.4 * truth_of("homefeed").best_chosen


def test_every_arm_of_null_is_equal() -> None:
    truth = truth_of("null")
    assert np.abs(truth.static).max() < 1e-12 and np.abs(truth.chosen).max() < 1e-12


def test_every_other_arm_of_boundary_is_at_the_margin_in_every_request() -> None:
    values = reference_requests(world("boundary"), 500).values(SPACE, WINDOWS)
    lifts = np.delete(values, PRODUCTION, axis=1) / values[:, [PRODUCTION]] - 1
    assert np.allclose(lifts[..., :2], [0.2, -0.05], rtol=0, atol=1e-12)


def test_one_arm_of_no_heterogeneity_is_best_for_every_request() -> None:
    values = reference_requests(world("no_heterogeneity"), 500).values(SPACE, WINDOWS)
    best = values[..., :2].argmax(axis=1)
    assert (best == best[0, 0]).all()
    assert np.allclose(SPACE.weights[best[0, 0]], [73.33, 20.33], atol=0.01)
    assert truth_of("no_heterogeneity").best_static == pytest.approx(0.06, abs=1e-9)
    assert truth_of("no_heterogeneity").best_chosen == pytest.approx(0.06, abs=1e-9)


def test_arms_explain_next_to_nothing_of_context_dominant() -> None:
    values = reference_requests(world("context_dominant")).values(SPACE, WINDOWS)[..., :2]
    share = values.var(axis=1).mean(axis=0) / values.var(axis=(0, 1))
    assert (share < 0.002).all()
    assert truth_of("context_dominant").best_chosen < 0.035


def test_the_figures_read_as_json_values() -> None:
    told = truth_of("homefeed").as_dict()
    assert told["best_chosen"] == truth_of("homefeed").best_chosen and len(told["lifts"]) == len(ALPHAS)
    assert set(told["safe_alphas"]) == {"CORE", "CASUAL", "REST"} and told["rates"]["hide"] > 0


def test_a_cohort_without_requests_has_no_lift() -> None:
    values = np.full((4, 2, 3), 0.5)
    truth = world_truth(values, np.zeros(4, dtype=np.int64), 1)
    assert np.isnan(truth.by_cohort[:, CASUAL]).all() and not truth.safe[:, CASUAL].any() and truth.safe[:, CORE].all()
