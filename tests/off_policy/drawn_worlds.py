"""Logs and policies of every kind, drawn from a seed, for comparisons of two ways to compute the same numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from off_policy.logged_bandit import LoggedBandit
from off_policy.target_policies import TargetPolicy, alpha_policies, constant_policy, uniform_policy


@dataclass(frozen=True)
class DrawnWorld:
    """`q` float[n, arms, O] or None; the baseline is production (arm 0) or the policy that logged."""

    log: LoggedBandit
    policies: list[TargetPolicy]
    baseline: TargetPolicy
    q: np.ndarray | None
    arms: int


def drawn_world(seed: int, rows: int) -> DrawnWorld:
    """With or without: even propensities, rewards of any size, masks, cohorts, units, a model."""
    rng = np.random.default_rng(seed)
    arms, objectives = int(rng.integers(2, 9)), int(rng.integers(1, 3))
    design = 0.7 * rng.dirichlet(np.full(arms, 2.0), size=rows) + 0.3 / arms
    if rng.random() < 0.5:
        design = np.tile(design[:1], (rows, 1))
    action = (design.cumsum(axis=1) > rng.random(rows)[:, None] * design.sum(axis=1)[:, None]).argmax(axis=1)
    clip = float(rng.choice([1.0, 5.0]))
    reward = (rng.random((rows, objectives)) < rng.choice([0.05, 0.3, 0.9])).astype(np.float64)
    if rng.random() < 0.5:
        reward *= clip * rng.random(reward.shape)
    observed = np.ones(reward.shape, dtype=bool) if rng.random() < 0.5 else rng.random(reward.shape) < 0.8
    reward[~observed] = np.nan
    cohort = None if rng.random() < 0.3 else tuple(np.array(["A", "B", None], dtype=object)[rng.integers(3, size=rows)])
    units = None if rng.random() < 0.5 else rng.integers(max(rows // int(rng.choice([1, 3, 20])), 1), size=rows)
    names = tuple(f"objective{index}" for index in range(objectives))
    log = LoggedBandit(action, design[np.arange(rows), action], reward, observed, names, cohort, units)
    q = None if rng.random() < 0.2 else 4.0 * rng.integers(2) + clip * rng.random((rows, arms, objectives))
    nearly = np.where(rng.random(rows) < 0.05, 1, 0)
    policies = [
        *alpha_policies(rng.random((rows, arms, objectives)), 0, [0.0, 1.0]),
        uniform_policy("uniform", rows, arms),
        TargetPolicy("soft", probabilities=rng.dirichlet(np.ones(arms), size=rows)),
        TargetPolicy("nearly production", arms=nearly),
        TargetPolicy("one-hot", probabilities=np.eye(arms)[rng.integers(arms, size=rows)]),
    ]
    production = constant_policy("production", 0, rows)
    baseline = production if rng.random() < 0.6 else TargetPolicy("logged", probabilities=design)
    return DrawnWorld(log, policies, baseline, q, arms)
