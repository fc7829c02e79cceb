"""Intervals cover the truth as often as they claim, wherever they are stated at all."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from off_policy.intervals import EvidenceRequirements
from off_policy.inverse_propensity import reward_at_hit, snips
from off_policy.policy_evaluation import evaluate_policies
from off_policy.target_policies import TargetPolicy, constant_policy
from tests.off_policy.bandit_worlds import CONTEXTS, PRODUCTION, World, lively_world

RUNS = 400
LEVEL = 0.95
LEAST = 0.92
"""Below 95 % by more than three standard errors of 400 runs (1.1 % each) would be a fault."""


def coverage(world: World, rows: int, requirements: EvidenceRequirements) -> dict[str, float]:
    """Share of stated intervals that hold the truth, by estimator and for the lifts."""
    rng = np.random.default_rng(20)
    best = world.click[:, :, 0].argmax(axis=1)
    truth = world.value_of_arms(best, 0)
    production = world.value_of_arms(np.full(CONTEXTS, PRODUCTION), 0)
    stated: Counter[str] = Counter()
    held: Counter[str] = Counter()
    for _ in range(RUNS):
        log, context = world.draw(rows, rng)
        policy = TargetPolicy("best", arms=best[context])
        baseline = constant_policy("production", PRODUCTION, rows)
        q = world.model(context, error=0.5)
        result = evaluate_policies(log, [policy], baseline, q, requirements).policies[0].objectives["objective0"]
        found = {name: (estimate.interval, truth) for name, estimate in result.estimates.items()}
        assert result.dr_lift is not None
        found["lift"] = (result.lift.interval, truth - production)
        found["relative_lift"] = (result.lift.relative_interval, truth / production - 1)
        found["dr_lift"] = (result.dr_lift.interval, truth - production)
        found["relative_dr_lift"] = (result.dr_lift.relative_interval, truth / production - 1)
        for name, (interval, target) in found.items():
            if interval is not None:
                stated[name] += 1
                held[name] += interval.lower <= target <= interval.upper
    return {name: held[name] / count for name, count in stated.items() if count > RUNS / 4}


def test_intervals_cover_at_the_smallest_accepted_evidence() -> None:
    found = coverage(lively_world(objectives=1), 1200, EvidenceRequirements(LEVEL, 100, 30))
    assert {"ips", "snips", "dr", "sndr", "lift", "relative_lift", "dr_lift", "relative_dr_lift"} <= set(found)
    for name, share in found.items():
        assert share >= LEAST, name
        assert share <= 0.995, f"{name} is needlessly wide"


def test_rare_rewards_are_refused_rather_than_covered_badly() -> None:
    rng = np.random.default_rng(21)
    blind = 0
    for _ in range(RUNS):
        rewards = (rng.random(200) < 0.004).astype(float)
        estimate = snips(np.full(200, 50.0), rewards, EvidenceRequirements(LEVEL, 100, 30))
        assert estimate.interval is None
        blind += estimate.standard_error == 0.0
    assert blind / RUNS > 0.4, "nearly half of the samples have no click: the formula would say [0, 0]"


@pytest.mark.parametrize("successes_per_hundred", [2, 30, 98])
def test_hit_rate_intervals_cover_at_any_size(successes_per_hundred: int) -> None:
    rng = np.random.default_rng(successes_per_hundred)
    p, held = successes_per_hundred / 100, 0
    for _ in range(RUNS):
        rewards = (rng.random(60) < p).astype(float)
        estimate = reward_at_hit(np.full(60, 50.0), rewards, True, EvidenceRequirements(LEVEL, 100, 30))
        assert estimate.interval is not None
        held += estimate.interval.lower <= p <= estimate.interval.upper
    assert held / RUNS >= LEAST
