"""Vectors of weights drawn from a box: one coin for each weight, and the density of what was drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from event_schemas.truncated_normal import TruncatedNormal

Coins = Callable[[str], float]
"""The coin in [0, 1] of the weight with this name."""


@dataclass(frozen=True, slots=True)
class UniformSide:
    """The uniform distribution on [low, high]."""

    low: float
    high: float

    def draw(self, coin: float) -> float:
        """The quantile at `coin`, in [0, 1]: a value in [low, high]."""
        return min(max(self.low + coin * (self.high - self.low), self.low), self.high)

    def log_density(self, value: float) -> float:
        """Natural logarithm of the density per length of the interval: 0 everywhere."""
        del value
        return 0.0

    def cdf(self, value: float) -> float:
        """P(drawn ≤ value), in [0, 1]."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)


Side = UniformSide | TruncatedNormal


@dataclass(frozen=True, slots=True)
class BoxDistribution:
    """Independent weights, each on its own interval; `names` and `sides` are in the experiment file's order."""

    names: tuple[str, ...]
    sides: tuple[Side, ...]

    def draw(self, coins: Coins) -> tuple[float, ...]:
        """A vector of weights inside the box."""
        return tuple(side.draw(coins(name)) for name, side in zip(self.names, self.sides, strict=True))

    def log_density(self, weights: Sequence[float]) -> float:
        """Natural logarithm of the density of weights inside the box, each normalised to [0, 1]; 0 if uniform."""
        return math.fsum(side.log_density(weight) for side, weight in zip(self.sides, weights, strict=True))

    def cdfs(self, weights: Sequence[float]) -> tuple[float, ...]:
        """P(drawn ≤ weight) of each weight: uniform on [0, 1] if the weights were drawn from this distribution."""
        return tuple(side.cdf(weight) for side, weight in zip(self.sides, weights, strict=True))


def uniform_box(names: Sequence[str], low: Sequence[float], high: Sequence[float]) -> BoxDistribution:
    """Every vector in the box is equally likely."""
    return BoxDistribution(tuple(names), tuple(map(UniformSide, low, high)))


def normal_box(
    names: Sequence[str], mean: Sequence[float], sd: Sequence[float], low: Sequence[float], high: Sequence[float]
) -> BoxDistribution:
    """Normal around `mean`, which is inside the box, cut off at the bounds and renormalised."""
    return BoxDistribution(tuple(names), tuple(map(TruncatedNormal, mean, sd, low, high)))
