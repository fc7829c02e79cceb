"""Counts of arms against declared distributions: each group of equal distributions has a test of its own."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

from event_schemas.slices import exploration_distribution
from learner.judgement.arm_counts import arm_count_parts
from learner.judgement.declared_distributions import DeclaredDistributions
from learner.judgement.gate import UNSOUND_P_VALUE

LEFT = [0.05] * 5 + [0.15] * 5
RIGHT = [0.15] * 5 + [0.05] * 5


def parts_of(world: Any, arms: np.ndarray, declared: list[list[float]]) -> list[Any]:
    examples = world.examples(len(arms))
    for example, arm, shares in zip(examples, arms.tolist(), declared, strict=True):
        example["action"]["arm"] = arm
        example["propensity"] |= {"probabilities": shares, "propensity": 0.1}
    rows = world.rows(examples)
    known = DeclaredDistributions.of(rows, world.experiment)
    return arm_count_parts(rows.arms, known, np.ones(len(arms), dtype=np.bool_))


def test_one_distribution_is_pearsons_test(world: Any) -> None:
    design = exploration_distribution(world.experiment.action_space, (), world.experiment.production_share)
    arms = np.random.default_rng(0).choice(10, 500, p=design)
    [part] = parts_of(world, arms, [[]] * 500)
    assert part.p_value == pytest.approx(chisquare(np.bincount(arms, minlength=10), 500 * design).pvalue)


def test_errors_that_cancel_over_all_rows_are_found_within_the_groups(world: Any) -> None:
    """Rows that declare LEFT are drawn from RIGHT, and the other way round."""
    rng = np.random.default_rng(1)
    arms = np.concatenate([rng.choice(10, 400, p=shares) for shares in (RIGHT, LEFT)])
    total, groups, worst = parts_of(world, arms, [LEFT] * 400 + [RIGHT] * 400)
    assert total.p_value > 0.01
    assert max(groups.p_value, worst.p_value) < UNSOUND_P_VALUE
    assert "within 2 groups" in groups.detail


def test_sound_groups_are_quiet_whatever_their_size(world: Any) -> None:
    rng = np.random.default_rng(2)
    arms = np.concatenate([rng.choice(10, size, p=shares) for size, shares in ((300, LEFT), (90, RIGHT))])
    few = [[1.0 if arm == number % 10 else 0.0 for arm in range(10)] for number in range(20)]
    arms = np.concatenate([arms, np.arange(20) % 10])
    assert min(part.p_value for part in parts_of(world, arms, [LEFT] * 300 + [RIGHT] * 90 + few)) > 0.01


def test_an_arm_that_is_never_drawn_is_found(world: Any) -> None:
    arms = np.zeros(40, dtype=np.int64)
    assert parts_of(world, arms, [[0.0] + [1 / 9] * 9] * 40)[0].p_value == 0.0


def test_a_rare_arm_in_many_small_groups_is_no_fault(world: Any) -> None:
    """Two rows of an arm that expects a tenth of one are ordinary among two hundred groups."""
    lowest, design = [], np.array([0.55, 0.448, 0.002] + [0.0] * 7)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        arms, declared = [], []
        for group in range(40):
            shares = design + group * 1e-5 * np.array([1, -1] + [0] * 8)
            arms.append(rng.choice(10, 50, p=shares / shares.sum()))
            declared += [list(shares / shares.sum())] * 50
        lowest.append(min(part.p_value for part in parts_of(world, np.concatenate(arms), declared)))
    assert min(lowest) > UNSOUND_P_VALUE
