"""The arrays agree with the scalar that decisions are drawn with, also where a naive formula fails."""

from __future__ import annotations

import numpy as np
import pytest

from event_schemas.truncated_normal import LEAST_SD, MOST_SD, TruncatedNormal
from off_policy.truncated_normals import TruncatedNormals

COINS = np.array([0.0, 2.0**-64, 1e-12, 0.01, 0.3, 0.5, 0.9, 1 - 1e-12, 1.0])


@pytest.mark.parametrize("sd", [LEAST_SD, 1e-3, 0.1, 1.0, MOST_SD])
@pytest.mark.parametrize("mean", [0.0, 1e-6, 0.05, 0.5, 0.97, 1.0])
def test_they_agree_with_the_scalar_to_nine_digits(mean: float, sd: float) -> None:
    scalar = TruncatedNormal(mean, sd, 0.0, 1.0)
    arrays = TruncatedNormals(np.full(9, mean), np.full(9, sd))
    drawn = arrays.quantile(COINS)
    assert drawn == pytest.approx([scalar.draw(coin) for coin in COINS], abs=1e-9)
    assert ((drawn >= 0) & (drawn <= 1)).all()
    assert arrays.log_density(drawn) == pytest.approx(
        [scalar.log_density(value) for value in drawn], abs=1e-9, rel=1e-9
    )
    assert arrays.cumulative(drawn) == pytest.approx([scalar.cdf(value) for value in drawn], abs=1e-9)
    assert arrays.cumulative(drawn)[2:-2] == pytest.approx(COINS[2:-2], abs=1e-6)
