"""A sequential drift alarm with a declared mean time between false alarms.

An e-detector (Shin, Ramdas, Rinaldo 2022, "E-detectors: a nonparametric framework for sequential
change detection", CUSUM form). Let L_t be an e-value given the past, that is, E[L_t | past] <= 1 under
every undrifted distribution. Then

    M_0 = 1,    M_t = L_t max(M_{t-1}, 1),    alarm when M_t >= c

gives a mean time to a false alarm of at least c values. Undrifted means that every bin's share stays
between l and u: the reference share minus or plus Z standard errors (the reference is a sample too),
times 1 -+ tolerance. Let q_t be a forecast of the next bin, learnt from past values only, and p_t the
undrifted distribution nearest to it (the reverse information projection). Then

    L_t = q_t(b) / p_t(b),    p_t(b) = clip(lambda q_t(b), l(b), u(b)) with lambda such that it sums to 1

is an e-value (Grünwald, de Heide, Koolen 2024, "Safe testing", theorem 1), and equals 1 as long as
the forecast itself is undrifted. Several forecasts with different memories run in parallel: the mean
of e-detectors is an e-detector.

The guarantee assumes that a value's bin does not depend on earlier values. Traffic is autocorrelated
(requests of one user, requests of one hour), so only every k-th value is used (`thinning`), with k
around the correlation time. Without thinning, AR(0.9) traffic alarms at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drift_detection.quantile_sketch import QuantileSketch, SketchError, Values

MEMORIES = (25.0, 100.0, 400.0)
"""How many (thinned) values each forecast remembers: short memories find large shifts fast, long ones small shifts."""
REFERENCE_ERRORS = 3.0
"""Z: how many standard errors the reference shares may be off."""
PRIOR_SHARE = 0.1
"""Share of the reference in every forecast; it limits the effect of one value in an unexpected bin."""
CEILING = 1e12
"""Upper limit of the evidence, as a multiple of the threshold: far above any alarm, far below overflow."""


@dataclass(frozen=True, slots=True)
class SequentialSettings:
    """mean_time_between_false_alarms   in raw values (before thinning); larger than `thinning`
    tolerance   largest relative change of a bin's share that does not count as drift, in [0, 1)
    thinning    k: use every k-th value, >= 1

    Raises SketchError if a value is out of range.
    """

    mean_time_between_false_alarms: float = 1_000_000.0
    tolerance: float = 0.1
    thinning: int = 20

    def __post_init__(self) -> None:
        if self.thinning < 1 or not 0 <= self.tolerance < 1:
            raise SketchError(
                f"thinning {self.thinning}, tolerance {self.tolerance}",
                fix="use a thinning of at least 1 and a tolerance in [0, 1)",
            )
        if not self.thinning < self.mean_time_between_false_alarms < np.inf:
            raise SketchError(
                f"mean_time_between_false_alarms {self.mean_time_between_false_alarms} is not a number above thinning",
                fix="give a number of raw values, for example those of one month",
            )

    @property
    def threshold(self) -> float:
        """c: the declared mean time, in thinned values."""
        return self.mean_time_between_false_alarms / self.thinning


class SequentialDrift:
    """Monitors one head; pass its values in order to `observe`. Not thread-safe.

    Once raised, the alarm stays on until `reset`.
    """

    def __init__(self, reference: QuantileSketch, settings: SequentialSettings) -> None:
        if reference.total == 0:
            raise SketchError("the reference sketch is empty", fix="build it from a sample of the head")
        self.settings = settings
        self._reference = reference
        counts = np.asarray(reference.counts, dtype=np.float64) + 0.5
        self._share = counts / counts.sum()
        margin = REFERENCE_ERRORS * np.sqrt(self._share * (1.0 - self._share) / reference.total)
        self._lower = (1.0 - settings.tolerance) * np.maximum(self._share - margin, 0.0)
        self._upper = (1.0 + settings.tolerance) * (self._share + margin)
        self._decay = np.exp(-1.0 / np.asarray(MEMORIES))
        self.reset()

    def reset(self) -> None:
        """Forget all values and the alarm."""
        self._forecast = np.tile(self._share, (len(MEMORIES), 1))
        self._evidence = np.ones(len(MEMORIES))
        self.observed = 0
        self.alarmed_at: int | None = None

    @property
    def statistic(self) -> float:
        """M_t relative to its threshold; 1 or more raises the alarm."""
        return float(self._evidence.mean()) / self.settings.threshold

    @property
    def alarm(self) -> bool:
        return self.alarmed_at is not None

    def observe(self, values: Values) -> bool:
        """Process more values in order, skipping non-finite ones; returns whether the alarm is on.

        `observed` is the number of finite values so far, `alarmed_at` its value when the alarm was raised.
        """
        sample = np.asarray(values if isinstance(values, np.ndarray) else list(values), dtype=np.float64)
        finite = sample[np.isfinite(sample)]
        chosen = np.arange(-self.observed % self.settings.thinning, finite.size, self.settings.thinning)
        for position, bin_index in zip(chosen, self._reference.bins_of(finite[chosen]), strict=True):
            self._step(int(bin_index))
            if self.alarmed_at is None and self.statistic >= 1.0:
                self.alarmed_at = self.observed + int(position) + 1
        self.observed += finite.size
        return self.alarm

    def _step(self, bin_index: int) -> None:
        forecast = PRIOR_SHARE * self._share + (1.0 - PRIOR_SHARE) * self._forecast
        undrifted = nearest_within(forecast, self._lower, self._upper)
        bet = forecast[:, bin_index] / undrifted[:, bin_index]
        ceiling = CEILING * self.settings.threshold
        self._evidence = np.minimum(bet * np.maximum(self._evidence, 1.0), ceiling)
        self._forecast *= self._decay[:, None]
        self._forecast[:, bin_index] += 1.0 - self._decay


def nearest_within(
    forecast: npt.NDArray[np.float64], lower: npt.NDArray[np.float64], upper: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """argmin_p KL(q, p) over distributions lower <= p <= upper, for each row q of forecast[k, bins].

    The minimum is p = clip(lambda q, lower, upper). Its sum is piecewise linear and increases with
    lambda, so lambda lies between two of the points where a bin enters or leaves its bounds.
    Requires q > 0 and sum(lower) <= 1 <= sum(upper).
    """
    knots = np.sort(np.concatenate([lower / forecast, upper / forecast], axis=1), axis=1)
    sums = np.clip(knots[:, :, None] * forecast[:, None, :], lower, upper).sum(axis=2)
    rows = np.arange(len(forecast))
    right = np.clip((sums < 1.0).sum(axis=1), 1, knots.shape[1] - 1)
    left = right - 1
    rise = np.maximum(sums[rows, right] - sums[rows, left], 1e-300)
    step = np.clip((1.0 - sums[rows, left]) / rise, 0.0, 1.0)
    scale = knots[rows, left] + step * (knots[rows, right] - knots[rows, left])
    nearest: npt.NDArray[np.float64] = np.clip(scale[:, None] * forecast, lower, upper)
    return nearest
