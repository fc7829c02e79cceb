"""Normal distributions cut off at the bounds of [0, 1] and renormalised, as whole arrays.

`event_schemas.truncated_normal` draws one value with the standard library, because a serving node has no scipy; this
module computes the same for millions of rows. A test holds the two equal.

Without the renormalisation a density near a bound is too small, and everything that is weighted with it biased.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import erf, erfc, ndtri

from event_schemas.truncated_normal import LOG_ROOT_2_PI, NEXT_TO_0, NEXT_TO_1
from off_policy.numeric_arrays import FloatArray

ROOT_2 = math.sqrt(2.0)


@dataclass(frozen=True, eq=False)
class TruncatedNormals:
    """N(mean, sd^2) given a value in [0, 1]: means in [0, 1] and sds above 0, in arrays of one shape.

    Arguments of the methods have this shape, or one that broadcasts with it.
    """

    mean: FloatArray
    sd: FloatArray

    def log_density(self, values: FloatArray) -> FloatArray:
        """The natural logarithm of the density of `values` in [0, 1]."""
        z = (values - self.mean) / self.sd
        found: FloatArray = -0.5 * z * z - LOG_ROOT_2_PI - np.log(self.mass) - np.log(self.sd)
        return found

    def cumulative(self, values: FloatArray) -> FloatArray:
        """P(drawn <= value), in [0, 1]."""
        z, low = (values - self.mean) / self.sd, -self.mean / self.sd
        below = _tail(-np.minimum(z, 0.0)) - self._tails[0]
        across = 0.5 * (erf(z / ROOT_2) - erf(low / ROOT_2))
        found: FloatArray = np.clip(np.where(z < 0.0, below, across) / self.mass, 0.0, 1.0)
        return found

    def quantile(self, coins: FloatArray) -> FloatArray:
        """The values whose `cumulative` is `coins`, in [0, 1], each computed in the tail where it is small."""
        below, above = self._tails
        left = coins <= self._share_below
        lower, upper = np.maximum(coins, NEXT_TO_0), np.maximum(1.0 - coins, NEXT_TO_1)
        tail = np.where(left, below + lower * self.mass, above + upper * self.mass)
        z = np.where(tail < 0.5, ndtri(np.minimum(tail, 0.5)), 0.0)
        found: FloatArray = np.clip(self.mean + self.sd * np.where(left, z, -z), 0.0, 1.0)
        return found

    @cached_property
    def mass(self) -> FloatArray:
        """The probability that is left after the cut."""
        above, below = (1.0 - self.mean) / self.sd, self.mean / self.sd
        found: FloatArray = 0.5 * (erf(above / ROOT_2) + erf(below / ROOT_2))
        return found

    @cached_property
    def _tails(self) -> tuple[FloatArray, FloatArray]:
        return _tail(self.mean / self.sd), _tail((1.0 - self.mean) / self.sd)

    @cached_property
    def _share_below(self) -> FloatArray:
        found: FloatArray = 0.5 * erf(self.mean / self.sd / ROOT_2) / self.mass
        return found


def _tail(z: FloatArray) -> FloatArray:
    """P(Z > z) of a standard normal Z, for z >= 0."""
    found: FloatArray = 0.5 * erfc(z / ROOT_2)
    return found
