"""Policies that need no learner: the best arm by the log, and a table of mean rewards by arm and category."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.learner_worlds import LearnerLog
from feature_contract.model_input import CONTEXT_IDS
from learner.examples.learning_rows import LearningRows

PRIOR_ROWS = 1_000
"""How many rows with the expected mean each cell of the table begins with."""


def best_arm_values(log: LearnerLog) -> NDArray[np.float32]:
    """float32[n, arms, objectives]: each arm's self-normalised mean, the same for every request."""
    means = arm_means(log.training, log.experiment.action_space.arms)
    return np.broadcast_to(means, (log.tested.count, *means.shape)).astype(np.float32)


def table_values(log: LearnerLog) -> NDArray[np.float32]:
    """float32[n, arms, objectives]: means by arm and combination of categories, shrunk towards the arm's.

    A cell begins with PRIOR_ROWS rows of the arm's mean plus what the categories differ by; so does a new combination.
    """
    rows, arms = log.training, log.experiment.action_space.arms
    means, overall = arm_means(rows, arms), rows.mean_rewards()
    found = np.empty((log.tested.count, *means.shape), dtype=np.float32)
    seen, later = rows.inputs[CONTEXT_IDS], log.tested.inputs[CONTEXT_IDS]
    for cell in np.unique(later, axis=0):
        own = rows.take((seen == cell).all(axis=1))
        expected = means + (own.mean_rewards() - overall if own.count else 0.0)
        sums, counts = np.zeros(means.shape), np.zeros(means.shape)
        np.add.at(sums, own.arms, own.rewards * own.observed)
        np.add.at(counts, own.arms, own.observed)
        found[(later == cell).all(axis=1)] = (sums + PRIOR_ROWS * expected) / (counts + PRIOR_ROWS)
    return found


def arm_means(rows: LearningRows, arms: int) -> NDArray[np.float64]:
    """float64[arms, objectives]: Σ r/p over Σ 1/p of the rows in which each arm was served, 0 without one."""
    weights = rows.observed / rows.propensities[:, None]
    sums, totals = np.zeros((arms, weights.shape[1])), np.zeros((arms, weights.shape[1]))
    np.add.at(sums, rows.arms, rows.rewards * weights)
    np.add.at(totals, rows.arms, weights)
    means: NDArray[np.float64] = sums / np.where(totals > 0, totals, 1.0)
    return means
