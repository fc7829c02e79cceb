"""Bounds from counts of users equal those of the estimators on the rows that the counts stand for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from benchmarks.coverage_intervals import MODELS, Bounds, CoverageStudy
from benchmarks.coverage_worlds import HALF, RARE, CoverageWorld, UserCounts, draw_users
from off_policy.doubly_robust import ModelledSample, doubly_robust, self_normalised_dr
from off_policy.estimates import Interval
from off_policy.intervals import EvidenceRequirements
from off_policy.inverse_propensity import ips, snips
from off_policy.numeric_arrays import FloatArray
from off_policy.paired_lift import paired_dr_lift, paired_snips_lift
from off_policy.sampling_design import SamplingDesign

ANYTHING = EvidenceRequirements(0.95, 2, 1)
LOG = 1
"""Which of the drawn logs is written out."""


def rows_of(counts: UserCounts) -> Mapping[str, FloatArray]:
    """The rows of one log: weights of policy and baseline, rewards, true rate of the logged and of both arms, user."""
    world, rows, user = counts.world, [], 0

    def at(values: FloatArray, column: int) -> float:
        return float(np.broadcast_to(values, (LOG + 1, counts.times.shape[1]))[LOG, column])

    columns = max(counts.rows.shape[1], counts.times.shape[1])
    for column in range(columns):
        times = int(np.broadcast_to(counts.times, (LOG + 1, columns))[LOG, column])
        own, hits, base, base_hits, rate, rare, shared = (
            float(np.broadcast_to(values, (LOG + 1, columns))[LOG, column])
            for values in (
                counts.rows,
                counts.hits,
                counts.base_rows,
                counts.base_hits,
                counts.rate,
                counts.rare,
                counts.shared,
            )
        )
        ours = rate if shared else rate * world.factor
        for _ in range(times):
            for row in range(world.per_user):
                in_base = own <= row < own + base
                weight = (1 / (RARE if rare else HALF)) * (row < own) + shared * in_base / HALF
                reward = row < hits if row < own else row - own < base_hits
                logged = ours if row < own else rate
                rows.append((weight, in_base / HALF, reward * (row < own + base), logged, ours, rate, user))
            user += 1
    names = ("weight", "base", "reward", "logged", "ours", "rate", "user")
    return dict(zip(names, np.array(rows, dtype=np.float64).T, strict=True))


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


@pytest.mark.parametrize("per_user", [1, 7])
@pytest.mark.parametrize("weights", ["even", "uneven", "shared"])
def test_bounds_from_counts_equal_the_estimators(weights: str, per_user: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("off_policy.intervals.FEWEST_EXPECTED", 0)
    world = CoverageWorld(0.1, 150, weights, per_user)
    counts = draw_users(world, 2, np.random.default_rng(11))
    rows = rows_of(counts)
    assert len(rows["weight"]) == world.rows
    expected, compared = by_rows(rows, world.rate), 0
    for bounds in CoverageStudy(counts, 0.95).all():
        interval = expected[bounds.name]
        assert interval is not None, bounds.name
        assert (bounds.lower[LOG], bounds.upper[LOG]) == pytest.approx((interval.lower, interval.upper), rel=1e-9), (
            bounds.name
        )
        compared += 1
    assert compared == len(expected) == 16


def test_rare_rewards_break_the_delta_method_and_not_the_bounds() -> None:
    counts = draw_users(CoverageWorld(0.004, 1000), 2000, np.random.default_rng(2))
    found: dict[str, Bounds] = {bounds.name: bounds for bounds in CoverageStudy(counts, 0.95).all()}
    snips_bounds = found["snips"]
    assert (snips_bounds.plain[1] < snips_bounds.truth).mean() > 0.1
    assert (snips_bounds.upper < snips_bounds.truth).mean() < 0.03
