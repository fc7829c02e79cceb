"""Bounds from counts of users equal those of the estimators on the rows that the counts stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations_with_replacement

import numpy as np
import pytest

from benchmarks.coverage_intervals import MODELS, Bounds, CoverageStudy
from benchmarks.coverage_worlds import HALF, RARE, CoverageWorld, UserCounts, draw_users
from off_policy.doubly_robust import ModelledSample, doubly_robust, self_normalised_dr
from off_policy.estimates import Interval
from off_policy.intervals import EvidenceRequirements
from off_policy.inverse_propensity import ips, reward_at_hit, snips
from off_policy.numeric_arrays import FloatArray
from off_policy.paired_lift import paired_dr_lift, paired_snips_lift
from off_policy.sampling_design import SamplingDesign

ANYTHING = EvidenceRequirements(0.95, 2, 1)
LOG = 1
"""Which of the drawn logs is written out."""
ELSEWHERE = {"binary": (1.0,), "counts": (5.0, 5.0, 5.0), "ratings": (2.0, 2.0)}
"""Rewards of the rows with neither policy's arm, by kind; those that are drawn are not written out."""
ROW = ("weight", "base", "reward", "logged", "ours", "rate", "user")


def rewards_of(world: CoverageWorld) -> Mapping[tuple[int, float, float], tuple[float, ...]]:
    """(rows, sum of their rewards, sum of squares) -> rewards with these sums; estimators need no more of a user."""
    sizes = [0.0, *world.sizes[0].tolist()]
    lists = (each for n in range(world.per_user + 1) for each in combinations_with_replacement(sizes, n))
    return {(len(each), sum(each), sum(size**2 for size in each)): each for each in lists}


def rows_of(counts: UserCounts) -> Mapping[str, FloatArray]:
    """The rows of one log: weights of policy and baseline, rewards, true mean of the logged and of both arms, user."""
    world, rows, user, known = counts.world, [], 0, rewards_of(counts.world)
    left = list(ELSEWHERE[world.rewards])
    columns = max(counts.rows.shape[1], counts.times.shape[1])
    names = ["rows", "rewards", "squares", "base_rows", "base_rewards", "base_squares", "rate", "rare", "shared"]
    for column in range(columns):
        times = int(np.broadcast_to(counts.times, (LOG + 1, columns))[LOG, column])
        own, total, squares, base, base_total, base_squares, rate, rare, shared = (
            float(np.broadcast_to(getattr(counts, name), (LOG + 1, columns))[LOG, column]) for name in names
        )
        mean = rate * world.mean_size
        ours = mean if shared else mean * world.factor
        found = known[int(own), total, squares] + known[int(base), base_total, base_squares]
        for _ in range(times):
            for row in range(world.per_user):
                in_base = own <= row < own + base
                weight = (1 / (RARE if rare else HALF)) * (row < own) + shared * in_base / HALF
                reward = found[row] if row < len(found) else left.pop() if left else 0.0
                logged = ours if row < own else mean
                rows.append((weight, in_base / HALF, reward, logged, ours, mean, user))
            user += 1
    return dict(zip(ROW, np.array(rows, dtype=np.float64).T, strict=True))


def samples(rows: Mapping[str, FloatArray], model: str, rate: float) -> tuple[ModelledSample, ModelledSample]:
    design = SamplingDesign(rows["user"].astype(np.int64))
    flat = np.full(len(rows["rate"]), rate * (1.0 if model == "constant" else 3.0))
    logged, ours, base = (rows[name] if model == "good" else flat for name in ("logged", "ours", "rate"))
    return (
        ModelledSample(rows["weight"], rows["reward"], logged, ours, design),
        ModelledSample(rows["base"], rows["reward"], logged, base, design),
    )


def by_rows(rows: Mapping[str, FloatArray], rate: float) -> dict[str, Interval | None]:
    """Every interval, by the estimators; one reward elsewhere makes sure that positives are expected."""
    weight, base, reward = rows["weight"], rows["base"], rows["reward"].copy()
    design = SamplingDesign(rows["user"].astype(np.int64))
    lift = paired_snips_lift(weight, base, reward, ANYTHING, design)
    found = {
        "snips": snips(weight, reward, ANYTHING, design).interval,
        "ips": ips(weight, reward, ANYTHING, design).interval,
        "snips lift": lift.interval,
        "snips relative": lift.relative_interval,
    }
    for model in MODELS:
        ours, theirs = samples(rows, model, rate)
        lift = paired_dr_lift(ours, theirs, ANYTHING)
        found |= {
            f"dr {model}": doubly_robust(ours, ANYTHING).interval,
            f"sndr {model}": self_normalised_dr(ours, ANYTHING).interval,
            f"dr {model} lift": lift.interval,
            f"dr {model} relative": lift.relative_interval,
        }
    return found


@pytest.mark.parametrize("rewards", ["binary", "counts", "ratings"])
@pytest.mark.parametrize("per_user", [1, 7])
@pytest.mark.parametrize("weights", ["even", "uneven", "shared"])
def test_bounds_from_counts_equal_the_estimators(
    weights: str, per_user: int, rewards: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("off_policy.intervals.FEWEST_EXPECTED", 0)
    world = CoverageWorld(0.1, 150, weights, per_user, rewards=rewards)
    elsewhere = np.array(ELSEWHERE[rewards])
    counts = replace(
        draw_users(world, 2, np.random.default_rng(11)),
        rewards_elsewhere=np.full(2, elsewhere.sum()),
        squares_elsewhere=np.full(2, np.square(elsewhere).sum()),
    )
    rows = rows_of(counts)
    assert len(rows["weight"]) == world.rows
    expected, compared = by_rows(rows, world.rate * world.mean_size), 0
    for bounds in CoverageStudy(counts, 0.95).all():
        interval, found = expected[bounds.name], (bounds.lower[LOG], bounds.upper[LOG])
        compared += interval is not None
        if interval is None:  # the baseline may be worth nothing
            assert not np.isfinite(found).all(), bounds.name
        else:
            assert found == pytest.approx((interval.lower, interval.upper), rel=1e-9), bounds.name
    assert compared >= len(expected) - 1 == 15


@pytest.mark.parametrize("weights", ["even", "shared"])
def test_bounds_at_hits_equal_the_estimator(weights: str) -> None:
    counts = draw_users(CoverageWorld(0.1, 150, weights), 2, np.random.default_rng(12))
    rows = rows_of(counts)
    interval = reward_at_hit(rows["weight"], rows["reward"], True, ANYTHING).interval
    bounds = CoverageStudy(counts, 0.95).at_hits()
    assert interval is not None
    assert interval.method == "clopper-pearson"
    assert (bounds.lower[LOG], bounds.upper[LOG]) == pytest.approx((interval.lower, interval.upper), rel=1e-12)


def test_rare_rewards_break_the_delta_method_and_not_the_bounds() -> None:
    counts = draw_users(CoverageWorld(0.004, 1000), 2000, np.random.default_rng(2))
    found: dict[str, Bounds] = {bounds.name: bounds for bounds in CoverageStudy(counts, 0.95).all()}
    snips_bounds = found["snips"]
    assert (snips_bounds.plain[1] < snips_bounds.truth).mean() > 0.1
    assert (snips_bounds.upper < snips_bounds.truth).mean() < 0.03
