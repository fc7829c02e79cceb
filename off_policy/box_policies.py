"""Policies over a box of weights: production with a probability, else a vector from a density."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from off_policy.box_log import BoxLog
from off_policy.logged_bandit import EvaluationError, require_shape
from off_policy.numeric_arrays import FloatArray
from off_policy.truncated_normals import TruncatedNormals

LEAST_BANDWIDTH = 1e-3
"""Of a weight that the log never moved; a kernel needs some width."""


class VectorDensity(Protocol):
    """A known density over the vectors of each of n rows, in the box [0, 1]^W."""

    def log_density(self, vectors: FloatArray) -> FloatArray:
        """float[n]: ln of the density of vectors[n, W], each in its row."""

    def draw(self, coins: FloatArray) -> FloatArray:
        """float[n, W]: a vector for each row, by coins[n, W] in [0, 1]."""


@dataclass(frozen=True, slots=True, eq=False)
class UniformVectors:
    """Every vector of the box is equally likely."""

    def log_density(self, vectors: FloatArray) -> FloatArray:
        """Zero: the box has the volume 1."""
        return np.zeros(len(vectors))

    def draw(self, coins: FloatArray) -> FloatArray:
        """The coins themselves."""
        return coins


@dataclass(frozen=True, eq=False)
class NormalVectors:
    """Independent normal weights, cut off at the bounds and renormalised; `mean` and `sd` float[n, W], normalised.

    Raises EvaluationError if a mean is outside [0, 1] or an sd is not above 0.
    """

    mean: FloatArray
    sd: FloatArray

    def __post_init__(self) -> None:
        require_shape("sd", self.sd, self.mean.shape)
        for name, sound in (("mean", (self.mean >= 0.0) & (self.mean <= 1.0)), ("sd", self.sd > 0.0)):
            unsound = np.argwhere(~(sound & np.isfinite(getattr(self, name))))
            if len(unsound):
                row, weight = unsound[0].tolist()
                raise EvaluationError(
                    f"{name} of weight {weight} in row {row} is {getattr(self, name)[row, weight]:g} of the box's side",
                    fix="give means inside the bounds and an sd above 0",
                )

    def log_density(self, vectors: FloatArray) -> FloatArray:
        """The sum of the weights' log densities."""
        found: FloatArray = self._normals.log_density(vectors).sum(axis=1)
        return found

    def draw(self, coins: FloatArray) -> FloatArray:
        """Each weight's quantile at its coin."""
        return self._normals.quantile(coins)

    @cached_property
    def _normals(self) -> TruncatedNormals:
        return TruncatedNormals(self.mean, self.sd)


@dataclass(frozen=True, slots=True, eq=False)
class LoggedVectors:
    """What each row logs: its own density, known only where it was drawn, whatever the logging policy was then."""

    log: BoxLog

    def log_density(self, vectors: FloatArray) -> FloatArray:
        """The logged one."""
        require_shape("vectors", vectors, self.log.vectors.shape)
        return self.log.log_density


@dataclass(frozen=True, slots=True, eq=False)
class BoxPolicy:
    """A policy for the rows of one log.

    atom      float[n] in [0, 1]: P(production) in each row
    vectors   the density of the vectors; LoggedVectors for the policy that explored; None if the policy always
              serves production
    smoothed  whether `vectors` is a kernel around a deterministic policy: its estimates are those of the smoothed
              policy, biased for the policy itself
    """

    name: str
    atom: FloatArray
    vectors: VectorDensity | LoggedVectors | None = None
    smoothed: bool = False

    def __post_init__(self) -> None:
        sound = (self.atom >= 0.0) & (self.atom <= 1.0)
        if not sound.all() or (self.vectors is None and bool((self.atom < 1.0).any())):
            raise EvaluationError(
                f"policy {self.name!r}: P(production) is outside [0, 1], or below 1 without a density of vectors",
                fix="give a density unless production is always served",
            )

    def importance(self, log: BoxLog) -> FloatArray:
        """float[n]: pi / mu, for production the ratio of probabilities, for a vector also that of densities."""
        require_shape(f"policy {self.name!r} (rows)", self.atom, (log.rows,))
        chosen = self.atom.copy()
        rows = np.flatnonzero(~log.atom)
        if self.vectors is None:
            chosen[rows] = 0.0
        else:
            ratio = np.exp(self.vectors.log_density(log.served_vectors)[rows] - log.log_density[rows])
            chosen[rows] = (1.0 - self.atom[rows]) * ratio
        weights: FloatArray = chosen / log.decisions.propensity
        return weights

    def served_in(self, log: BoxLog) -> BoxPolicy:
        """What the policy serves in the rows of the log: production where only that was eligible, as serving does.

        Nothing was explored there that could say what a vector earns. LoggedVectors know this themselves.
        """
        bound = log.production_share >= 1.0
        if self.vectors is None or isinstance(self.vectors, LoggedVectors) or not bound.any():
            return self
        return replace(self, atom=np.where(bound, 1.0, self.atom))

    def overlap(self, other: BoxPolicy) -> float:
        """The mean of what both give to production: 1 for production itself, 0 for policies that never serve it."""
        return float(np.minimum(self.atom, other.atom).mean()) if len(self.atom) else float("nan")


def production_policy(name: str, rows: int) -> BoxPolicy:
    """Production in every row."""
    return BoxPolicy(name, np.ones(rows))


def uniform_vectors(name: str, rows: int) -> BoxPolicy:
    """A vector of the box, every one equally likely, in every row."""
    return BoxPolicy(name, np.zeros(rows), UniformVectors())


def normal_policy(name: str, mean: FloatArray, sd: FloatArray) -> BoxPolicy:
    """A vector around `mean` float[n, W] with the standard deviations `sd` float[n, W], all normalised."""
    return BoxPolicy(name, np.zeros(len(mean)), NormalVectors(mean, sd))


def logged_policy(name: str, log: BoxLog) -> BoxPolicy:
    """The policy that explored: its value is the mean of the log. Its vectors are the logged ones."""
    return BoxPolicy(name, log.production_share, LoggedVectors(log))


def kernel_policy(name: str, vectors: FloatArray, bandwidth: FloatArray) -> BoxPolicy:
    """The deterministic policy `vectors` float[n, W], smoothed by a Gaussian product kernel of width bandwidth[W].

    Its SNIPS estimate is the kernel SNIPS: sum K r / q over sum K / q, K renormalised at the bounds. The
    smoothing costs V - V_h = h^2 / 2 |tr V''|: a large part of the lift, if the policy moves weights by about h.
    """
    sd = np.broadcast_to(bandwidth, vectors.shape).copy()
    return BoxPolicy(name, np.zeros(len(vectors)), NormalVectors(vectors, sd), smoothed=True)


def bandwidth_of(log: BoxLog) -> FloatArray:
    """float[W]: Scott's rule, the standard deviation of the logged vectors times n^(-1/(W + 4)) (Scott 1992)."""
    vectors = log.vectors[~log.atom]
    width = vectors.shape[1]
    if len(vectors) < 2:
        return np.full(width, LEAST_BANDWIDTH)
    found: FloatArray = vectors.std(axis=0, ddof=1) * len(vectors) ** (-1.0 / (width + 4))
    return np.maximum(found, LEAST_BANDWIDTH)
