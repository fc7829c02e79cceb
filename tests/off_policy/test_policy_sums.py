"""What is kept of a policy: its rows with a weight, and sums."""

from __future__ import annotations

import math

import numpy as np
import pytest

from off_policy.block_moments import log_blocks
from off_policy.importance_weights import importance_weights
from off_policy.log_slices import LogSlices
from off_policy.logged_bandit import EvaluationError
from off_policy.policy_sums import PolicySums, require_predictions
from off_policy.target_policies import TargetPolicy, constant_policy, uniform_policy
from tests.off_policy.bandit_worlds import ARMS, PRODUCTION, lively_world

N = 200
WORLD = lively_world()
LOG, CONTEXT = WORLD.draw(N, np.random.default_rng(3))
Q = WORLD.model(CONTEXT)
BASELINE = constant_policy("production", PRODUCTION, N)


def part_of(policy: TargetPolicy, rows: slice) -> TargetPolicy:
    assert policy.arms is not None
    return TargetPolicy(policy.name, arms=policy.arms[rows])


def test_blocks_keep_the_rows_with_a_weight() -> None:
    slices, best = LogSlices(LOG), WORLD.best(0, CONTEXT)
    sums = PolicySums(slices, best, modelled=True)
    for rows in (slice(0, 130), slice(130, N)):
        blocks, base = log_blocks(slices, rows), part_of(BASELINE, rows)
        logged = Q[rows][np.arange(rows.stop - rows.start), LOG.action[rows]]
        PolicySums(slices, base, modelled=True, baseline=True).add(blocks, base, base, base.expected(Q[rows]), logged)
        policy = part_of(best, rows)
        sums.add(blocks, policy, base, policy.expected(Q[rows]), logged)
    kept, weights = sums.weighted_rows(), importance_weights(LOG, best)
    np.testing.assert_array_equal(kept.rows, np.flatnonzero(weights))
    np.testing.assert_array_equal(kept.weights, weights[kept.rows])
    np.testing.assert_array_equal(kept.expected, best.expected(Q)[kept.rows])
    np.testing.assert_array_equal(kept.q_logged, Q[kept.rows, LOG.action[kept.rows]])
    assert best.arms is not None
    assert sums.agreement == pytest.approx(best.agreement(BASELINE))
    assert sums.most_common_share == np.bincount(best.arms).max() / N
    assert not sums.same_as_baseline


def test_without_a_model_nothing_is_kept_of_predictions() -> None:
    slices = LogSlices(LOG)
    uniform, sums = uniform_policy("uniform", N, ARMS), PolicySums(slices, BASELINE, modelled=False)
    sums.add(log_blocks(slices, slice(0, N)), BASELINE, uniform, None, None)
    assert sums.weighted_rows().expected is None
    assert sums.agreement == pytest.approx(1 / ARMS)
    same = PolicySums(slices, uniform, modelled=False)
    same.add(log_blocks(slices, slice(0, N)), uniform, uniform, None, None)
    assert same.same_as_baseline
    assert len(same.weighted_rows().rows) == N


def test_a_policy_without_rows_has_no_shares() -> None:
    sums = PolicySums(LogSlices(LOG), BASELINE, modelled=True, baseline=True)
    assert math.isnan(sums.agreement)
    assert math.isnan(sums.most_common_share)
    assert not sums.same_as_baseline
    assert len(sums.weighted_rows().rows) == 0


def test_predictions_must_be_finite_and_have_the_shape() -> None:
    require_predictions("q", np.zeros((3, 2)), (3, 2))
    with pytest.raises(EvaluationError, match="q has shape"):
        require_predictions("q", np.zeros((3, 1)), (3, 2))
    with pytest.raises(EvaluationError, match="not finite"):
        require_predictions("q", np.full((3, 2), np.nan), (3, 2))
