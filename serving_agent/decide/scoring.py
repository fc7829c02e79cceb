"""The best arm by a network's values.

PRL-PUTS, inference: a* = argmax_a Σ_o λ_o Q_o(s, a), for two objectives λ = (α, 1 − α).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def best_arm(q: NDArray[np.float32], objective_weights: Sequence[float], eligible: tuple[int, ...]) -> int:
    """argmax over the eligible arms (empty: all) of Σ_o weights_o q[arm, o]; ties go to the lowest arm.

    Computed in float64, objective by objective, exactly as off_policy.target_policies does: a matrix product rounds
    differently, so that a near tie could be evaluated with one arm and served with another.
    """
    utility = np.zeros(len(q))
    for objective, weight in enumerate(objective_weights):
        utility += weight * q[:, objective].astype(np.float64)
    if not eligible:
        return int(np.argmax(utility))
    allowed = np.asarray(sorted(eligible))
    return int(allowed[np.argmax(utility[allowed])])
