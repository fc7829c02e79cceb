"""The quadratic model of rewards over a box."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from off_policy.response_surface import FOLDS, ResponseSurface
from tests.off_policy.box_worlds import BoxWorld

LOG = BoxWorld(2, "uniform").draw(2_000, np.random.default_rng(0))


def test_it_finds_a_quadratic_truth() -> None:
    reward = 0.2 + LOG.served_vectors[:, :1] - 0.5 * LOG.served_vectors[:, :1] * LOG.served_vectors[:, 1:]
    surface = ResponseSurface.of(replace(LOG, decisions=replace(LOG.decisions, reward=reward)))
    assert surface.predict(LOG.served_vectors) == pytest.approx(reward, abs=1e-3)
    assert surface.predict(np.full((LOG.rows, 2), 0.5)) == pytest.approx(0.575, abs=1e-3)


def test_no_unit_is_predicted_by_its_own_rewards() -> None:
    units = np.arange(LOG.rows) // 4
    decisions = replace(LOG.decisions, units=units)
    before = ResponseSurface.of(replace(LOG, decisions=decisions)).predict(LOG.served_vectors)
    reward = decisions.reward.copy()
    reward[units % FOLDS == 2] += 100.0
    after = ResponseSurface.of(replace(LOG, decisions=replace(decisions, reward=reward))).predict(LOG.served_vectors)
    assert after[units % FOLDS == 2] == pytest.approx(before[units % FOLDS == 2])
    assert (after[units % FOLDS != 2] > before[units % FOLDS != 2] + 5).all()


def test_rows_without_the_outcome_do_not_count() -> None:
    observed = np.zeros((LOG.rows, 1), dtype=np.bool_)
    nothing = replace(LOG, decisions=replace(LOG.decisions, observed=observed))
    assert ResponseSurface.of(nothing).predict(LOG.served_vectors) == pytest.approx(0.0)
