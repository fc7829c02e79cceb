"""Whether an experiment's users are spread over its arms as declared: a mismatch voids every comparison."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import chdtrc

LEAST_P = 0.001
"""A split of users that is less likely than this is a mismatch."""
FEWEST_EXPECTED = 5.0
"""With fewer expected users in an arm, the χ² distribution is no approximation (Cochran 1954)."""


def sample_ratio_p(users: Sequence[int], shares: Sequence[float]) -> float | None:
    """Pearson's χ² test of users per arm against the shares, on len(users) - 1 degrees of freedom; the p-value.

    None if too few users are expected in an arm. Users are counted, not requests, because users are what is drawn.
    At a log rate below 1 only the users of whom a request was logged are seen. The log's coins do not depend on the
    arm, so this thins all arms alike and the test stays exact, unless an arm changes how much its users come: then a
    small p is an effect of the arm on traffic, and means over requests compare different users all the same.
    """
    seen, expected = np.asarray(users, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    expected = seen.sum() * expected / expected.sum()
    if float(expected.min()) < FEWEST_EXPECTED:
        return None
    return float(chdtrc(len(seen) - 1, float((np.square(seen - expected) / expected).sum())))
