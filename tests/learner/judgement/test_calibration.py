"""Predicted against observed."""

import numpy as np
import pytest

from learner.judgement.calibration import BINS, calibrate


def test_true_rates_are_calibrated() -> None:
    rng = np.random.default_rng(1)
    rates = rng.random(20_000)
    result = calibrate(rates, (rng.random(20_000) < rates).astype(float))
    assert result.expected_error is not None
    assert result.expected_error < 0.02
    assert [b.rows for b in result.bins] == [2000] * BINS


def test_a_constant_bias_is_the_error() -> None:
    rewards = np.tile([0.0, 1.0], 50)
    assert calibrate(np.full(100, 0.7), rewards).expected_error == pytest.approx(0.2)


def test_no_rows_and_few_rows() -> None:
    assert calibrate(np.zeros(0), np.zeros(0)).as_dict() == {"bins": [], "expected_error": None}
    assert len(calibrate(np.array([0.1, 0.2]), np.array([0.0, 1.0])).bins) == 2
