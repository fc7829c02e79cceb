"""The quadratic model of rewards over a box."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from off_policy import response_surface, row_distributions
from off_policy.numeric_arrays import FloatArray
from off_policy.response_surface import FOLDS, ResponseSurface
from tests.off_policy.box_worlds import BoxWorld

LOG = BoxWorld(2, "uniform").draw(2_000, np.random.default_rng(0))

TERMS = response_surface._terms


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


def test_the_terms_of_a_few_rows_at_a_time_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ResponseSurface.of(LOG).predict(LOG.vectors)
    shapes: list[int] = []
    monkeypatch.setattr(row_distributions, "BLOCK_CELLS", 1_000)

    def noted(part: FloatArray) -> FloatArray:
        shapes.append(len(part))
        return TERMS(part)

    monkeypatch.setattr(response_surface, "_terms", noted)
    assert ResponseSurface.of(LOG).predict(LOG.vectors) == pytest.approx(whole)
    assert max(shapes) == 1_000 // 6
