"""Which members of a policy family a person should consider.

PRL-PUTS: keep an alpha unless another alpha has at least the same lift on every objective and a
larger one on some objective; only an alpha whose lifts are all at least zero may be proposed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from off_policy.logged_bandit import EvaluationError
from off_policy.numeric_arrays import BoolArray


def pareto_front(points: npt.ArrayLike) -> BoolArray:
    """bool[P] for lifts float[P, O]: True where no other point dominates.

    Equal points do not dominate each other; a point with an undefined lift is never on the front
    and dominates nothing.
    """
    values = _as_points(points)
    defined: BoolArray = np.asarray(np.isfinite(values).all(axis=1))
    kept = np.array(defined)
    for index in np.flatnonzero(defined):
        rivals = values[defined]
        no_worse = (rivals >= values[index]).all(axis=1)
        better = (rivals > values[index]).any(axis=1)
        kept[index] = not bool((no_worse & better).any())
    return kept


def proposable(points: npt.ArrayLike) -> BoolArray:
    """bool[P]: True where the point is on the front and has no negative lift."""
    values = _as_points(points)
    harmless: BoolArray = np.asarray(np.all(np.nan_to_num(values, nan=-1.0) >= 0.0, axis=1))
    return pareto_front(values) & harmless


def _as_points(points: npt.ArrayLike) -> npt.NDArray[np.float64]:
    values = np.asarray(points, dtype=np.float64)
    if values.ndim != 2:
        raise EvaluationError(
            f"points have shape {values.shape}", fix="give one row per policy, one column per objective"
        )
    return values
