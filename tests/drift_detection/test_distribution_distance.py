"""PSI and KS against hand-computed values and an independent implementation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ks_2samp

from drift_detection.distribution_distance import ks_of_counts, population_stability_index
from drift_detection.quantile_sketch import QuantileSketch, SketchError


def test_psi_of_a_textbook_case() -> None:
    p, q = (0.5, 0.5), (0.75, 0.25)
    expected = sum((a - b) * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert population_stability_index((50, 50), (75, 25), smoothing=0.0) == pytest.approx(expected)


def test_psi_is_symmetric_zero_for_equals_and_finite_for_empty_bins() -> None:
    one, other = (10, 20, 70), (70, 20, 10)
    assert population_stability_index(one, one) == 0.0
    assert population_stability_index(one, other) == pytest.approx(population_stability_index(other, one))
    assert math.isfinite(population_stability_index((0, 100), (100, 0)))


def test_binned_ks_is_a_close_lower_bound() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.random(20_000), rng.beta(2, 1, 20_000)
    reference = QuantileSketch.from_sample(a, bins=20)
    binned = ks_of_counts(reference.counts, reference.emptied().updated(b).counts)
    exact = ks_2samp(a, b).statistic
    assert binned <= exact + 1e-12
    assert binned == pytest.approx(exact, abs=0.02)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(SketchError, match="2 and 3 bins"):
        population_stability_index((1, 1), (1, 1, 1))
    with pytest.raises(SketchError, match="empty"):
        ks_of_counts((0, 0), (1, 1))
