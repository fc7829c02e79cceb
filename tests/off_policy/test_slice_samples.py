"""A policy in a slice, and a pair of policies, against all rows of the slice."""

from __future__ import annotations

import numpy as np
import pytest

from off_policy.block_moments import log_blocks
from off_policy.importance_weights import evidence_of, importance_weights
from off_policy.inverse_propensity import mean_influence
from off_policy.log_slices import LogSlices
from off_policy.paired_lift import PairVariances
from off_policy.policy_sums import PolicySums
from off_policy.sampling_design import SamplingDesign
from off_policy.slice_samples import PairedSample, PolicySample
from off_policy.target_policies import TargetPolicy
from tests.off_policy.drawn_worlds import DrawnWorld, drawn_world

SEEDS = [2, 5, 6, 8]
"""Among them are worlds with and without units, cohorts, masks and a production baseline."""


def sums_of(world: DrawnWorld, q: np.ndarray, policy: TargetPolicy) -> tuple[PolicySums, PolicySums]:
    """(the policy's, the baseline's)"""
    slices, log = LogSlices(world.log), world.log
    blocks, logged = log_blocks(slices, slice(0, log.rows)), q[np.arange(log.rows), log.action]
    base = PolicySums(slices, world.baseline, modelled=True, baseline=True)
    ours = PolicySums(slices, policy, modelled=True)
    base.add(blocks, world.baseline, world.baseline, world.baseline.expected(q), logged)
    ours.add(blocks, policy, world.baseline, policy.expected(q), logged)
    return ours, base


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("index", [0, 3])
def test_a_pair_has_the_weights_and_variances_of_all_rows(seed: int, index: int) -> None:
    world = drawn_world(seed, 600)
    log, policy = world.log, world.policies[index]
    q = np.random.default_rng(seed).random((log.rows, world.arms, len(log.objectives)))
    ours, base = sums_of(world, q, policy)
    logged = q[np.arange(log.rows), log.action]
    for part in LogSlices(log).slices():
        inside = part.inside(slice(None))
        rows = np.arange(log.rows) if inside is None else np.flatnonzero(inside)
        pair = PairedSample(PolicySample(part, ours), PolicySample(part, base))
        design = SamplingDesign(log.units).take(rows)
        weights, of_base = (importance_weights(log, each)[rows] for each in (policy, world.baseline))
        rewards = log.reward[rows, part.objective]
        matched = (weights > 0) | (of_base > 0)
        assert sorted(zip(pair.rows.ours, pair.rows.base, pair.rows.rewards, strict=True)) == sorted(
            zip(weights[matched], of_base[matched], rewards[matched], strict=True)
        )
        assert pair.rows.elsewhere.rows == int((~matched).sum())
        expected = evidence_of(weights, rewards, design)
        assert pair.ours.own_evidence.expected_positives == pytest.approx(expected.expected_positives)
        assert pair.ours.own_evidence.freedom == pytest.approx(expected.freedom)
        residual = rewards - logged[rows, part.objective]
        terms = [
            mean_influence(each.expected(q)[rows, part.objective] + w * residual)
            for each, w in ((policy, weights), (world.baseline, of_base))
        ]
        found, direct = pair.dr_variances, PairVariances.of(terms[0], terms[1], design)
        for name in ("ours", "both", "base", "gap", "gap_and_base"):
            assert getattr(found, name) == pytest.approx(getattr(direct, name), rel=1e-9, abs=1e-12 * direct.ours)


def test_the_worlds_are_of_every_kind() -> None:
    worlds = [drawn_world(seed, 600) for seed in SEEDS]
    assert {world.log.units is None for world in worlds} == {True, False}
    assert {world.log.cohort is None for world in worlds} == {True, False}
    assert {bool(world.log.observed.all()) for world in worlds} == {True, False}
    assert {world.baseline.deterministic for world in worlds} == {True, False}
