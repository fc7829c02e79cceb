"""The normal distribution cut off at the bounds of an interval and renormalised: draws, densities, probabilities.

Without the renormalisation densities near a bound would be too small, and what is estimated with them biased.

Numerics. Every probability is computed on the side of the mean where it is small: there a double keeps its digits,
while 1 − 10⁻²⁰ is 1. A coin of 0 or 1 stands for the hashes that round to it: so no draw is infinite, and none has a
density too small to divide by. A draw is never outside the interval by a rounding error. With sd between 10⁻⁶ and 10³
of the interval's length (`LEAST_SD`, `MOST_SD`), and bounds of at most 10⁶ lengths (`LEAST_LENGTH`), draws have an
error of at most 10⁻⁹ lengths. Logarithms of their densities have an error of at most 10⁻⁹.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

LEAST_SD, MOST_SD = 1e-6, 1e3
"""The bounds of sd, as a share of the interval's length."""
LEAST_LENGTH = 1e-6
"""The least length of an interval, as a share of its bounds: doubles would be too coarse for a shorter one."""
NEXT_TO_0, NEXT_TO_1 = 2.0**-65, 2.0**-55
"""The middle of what a coin of 0 stands for, and how far that of what a coin of 1 stands for is from 1."""
STANDARD = NormalDist()
LOG_ROOT_2_PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True)
class TruncatedNormal:
    """N(mean, sd²) given that the value is in [low, high]; low ≤ mean ≤ high, low < high, sd > 0."""

    mean: float
    sd: float
    low: float
    high: float

    def draw(self, coin: float) -> float:
        """The quantile at `coin`, in [0, 1]: a value in [low, high]."""
        below, above = self._tails
        if coin <= self._share_below:
            tail = below + max(coin, NEXT_TO_0) * self._mass
            z = STANDARD.inv_cdf(tail) if tail < 0.5 else 0.0
        else:
            tail = above + max(1.0 - coin, NEXT_TO_1) * self._mass
            z = -STANDARD.inv_cdf(tail) if tail < 0.5 else 0.0
        return min(max(self.mean + self.sd * z, self.low), self.high)

    def log_density(self, value: float) -> float:
        """Natural logarithm of the density of a value in [low, high], per length of the interval.

        It is the density of (value − low)/(high − low): 0 would be the uniform distribution.
        """
        z = (value - self.mean) / self.sd
        return -0.5 * z * z - LOG_ROOT_2_PI - math.log(self._mass) - math.log(self.sd / (self.high - self.low))

    def cdf(self, value: float) -> float:
        """P(drawn ≤ value), in [0, 1]."""
        z = (value - self.mean) / self.sd
        low = (self.low - self.mean) / self.sd
        return min(max(_between(low, z) / self._mass, 0.0), 1.0)

    @cached_property
    def _tails(self) -> tuple[float, float]:
        """The probabilities that are cut off, below and above; each is at most 1/2."""
        return _tail((self.mean - self.low) / self.sd), _tail((self.high - self.mean) / self.sd)

    @cached_property
    def _mass(self) -> float:
        """The probability that is left: Φ((high − mean)/sd) − Φ((low − mean)/sd)."""
        return _between((self.low - self.mean) / self.sd, (self.high - self.mean) / self.sd)

    @cached_property
    def _share_below(self) -> float:
        """P(drawn ≤ mean)."""
        return _between((self.low - self.mean) / self.sd, 0.0) / self._mass


def sd_bounds(length: float) -> tuple[float, float]:
    """The least and the most sd of weights whose interval has this length."""
    return LEAST_SD * length, MOST_SD * length


def _tail(z: float) -> float:
    """P(Z > z) of a standard normal Z, for z ≥ 0."""
    return 0.5 * math.erfc(z / math.sqrt(2.0))


def _between(low: float, high: float) -> float:
    """P(low < Z < high) of a standard normal Z, for low ≤ 0; small probabilities far on one side keep their digits."""
    if high < 0.0 and low < 0.0:
        return max(_tail(-high) - _tail(-low), 0.0)
    return 0.5 * (math.erf(high / math.sqrt(2.0)) - math.erf(low / math.sqrt(2.0)))
