"""Ages on a log scale."""

import numpy as np

from feature_contract.log_ages import log_ages


def test_ages_are_log_minutes_and_never_negative() -> None:
    ages = log_ages(np.array([[0, 60_000], [540_000, -1]]))
    np.testing.assert_allclose(ages, [[0.0, np.log(2.0)], [np.log(10.0), 0.0]], rtol=1e-6)
    assert ages.dtype == np.float32
