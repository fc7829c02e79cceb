"""The sequential alarm: silent without drift, raised with drift, and thinned for autocorrelated traffic."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import minimize

from drift_detection.quantile_sketch import QuantileSketch, SketchError
from drift_detection.sequential_drift import SequentialDrift, SequentialSettings, nearest_within

REFERENCE = QuantileSketch.from_sample(1 / (1 + np.exp(-np.random.default_rng(0).standard_normal(200_000))))
UNTHINNED = SequentialSettings(200_000, tolerance=0.1, thinning=1)
THINNED = SequentialSettings(200_000, tolerance=0.1, thinning=20)


def stream(rows: int, seed: int, memory: float = 0.0, shift: float = 0.0, start: int = 0) -> npt.NDArray[np.float64]:
    """Sigmoid outputs of an AR(memory) process with unit variance, shifted by `shift` from `start` on."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(rows) * np.sqrt(1.0 - memory**2)
    state = np.empty(rows)
    state[0] = rng.standard_normal()
    for index in range(1, rows):
        state[index] = memory * state[index - 1] + noise[index]
    state[start:] += shift
    return np.asarray(1 / (1 + np.exp(-state)))


def test_no_false_alarm_without_drift() -> None:
    assert not any(SequentialDrift(REFERENCE, UNTHINNED).observe(stream(6000, seed)) for seed in range(4))


@pytest.mark.parametrize(("settings", "within"), [(UNTHINNED, 1000), (THINNED, 10_000)], ids=["unthinned", "thinned"])
def test_half_a_standard_deviation_is_found(settings: SequentialSettings, within: int) -> None:
    for seed in range(3):
        detector = SequentialDrift(REFERENCE, settings)
        assert detector.observe(stream(2000 + within, seed, shift=0.5, start=2000))
        assert detector.alarmed_at is not None
        assert 2000 < detector.alarmed_at <= 2000 + within


def test_autocorrelated_traffic_needs_thinning() -> None:
    seeds = range(8)
    unthinned = [SequentialDrift(REFERENCE, UNTHINNED).observe(stream(3000, s, memory=0.9)) for s in seeds]
    thinned = [SequentialDrift(REFERENCE, THINNED).observe(stream(20_000, s, memory=0.9)) for s in seeds]
    assert all(unthinned), "AR(0.9) breaks the detector that takes every value"
    assert not any(thinned)
    drifted = SequentialDrift(REFERENCE, THINNED)
    assert drifted.observe(stream(20_000, 99, memory=0.9, shift=0.7))


def test_a_change_within_the_tolerance_is_no_drift() -> None:
    rng = np.random.default_rng(3)
    share = np.asarray(REFERENCE.counts) / REFERENCE.total
    tilted = share * np.where(np.arange(10) % 2 == 0, 1.3, 0.7)
    centres = np.r_[0.0, (np.r_[REFERENCE.edges] + 1e-9)]
    values = centres[rng.choice(10, size=4000, p=tilted / tilted.sum())]
    lenient = SequentialSettings(200_000, tolerance=0.35, thinning=1)
    assert not SequentialDrift(REFERENCE, lenient).observe(values)
    strict = SequentialSettings(200_000, tolerance=0.0, thinning=1)
    assert SequentialDrift(REFERENCE, strict).observe(values)


def test_the_mean_time_between_false_alarms_is_kept() -> None:
    """Values drawn from the reference itself, so that its sampling error cannot hide a fault."""
    declared, runs = 300, 30
    rng = np.random.default_rng(4)
    bins = np.r_[0.0, (np.r_[REFERENCE.edges] + 1e-9)]
    settings = SequentialSettings(declared, tolerance=0.0, thinning=1)
    times = []
    for _ in range(runs):
        detector = SequentialDrift(REFERENCE, settings)
        detector.observe(bins[rng.integers(10, size=1000)])
        times.append(detector.alarmed_at or 1000)
    assert np.mean(times) >= declared


def test_batches_do_not_matter_and_the_alarm_stays_until_reset() -> None:
    values = stream(6000, 5, shift=1.0, start=1500)
    whole, pieces = SequentialDrift(REFERENCE, THINNED), SequentialDrift(REFERENCE, THINNED)
    whole.observe(values)
    for piece in np.array_split(values, 37):
        pieces.observe(piece.tolist())
    assert whole.alarmed_at == pieces.alarmed_at is not None
    assert whole.statistic == pytest.approx(pieces.statistic)
    assert whole.observe([0.5]) is True
    whole.reset()
    assert (whole.alarm, whole.observed) == (False, 0)
    assert whole.statistic == pytest.approx(1 / THINNED.threshold)


def test_values_that_are_not_finite_are_skipped() -> None:
    one, other = SequentialDrift(REFERENCE, UNTHINNED), SequentialDrift(REFERENCE, UNTHINNED)
    one.observe([0.5, float("nan"), 0.9, float("inf")])
    other.observe([0.5, 0.9])
    assert one.observed == 2
    assert one.statistic == other.statistic


def test_evidence_saturates() -> None:
    detector = SequentialDrift(REFERENCE, SequentialSettings(100, tolerance=0.1, thinning=1))
    detector.observe(np.full(1000, 0.9999))
    assert np.isfinite(detector.statistic)


def test_the_nearest_distribution_minimises_the_divergence() -> None:
    rng = np.random.default_rng(6)
    share = rng.dirichlet(np.full(5, 5.0))
    lower, upper = 0.8 * share, 1.2 * share
    for forecast in rng.dirichlet(np.ones(5), size=6) * 0.9 + 0.02:
        found = nearest_within(forecast[None, :], lower, upper)[0]
        assert found.sum() == pytest.approx(1.0)
        assert np.all(found >= lower - 1e-12)
        assert np.all(found <= upper + 1e-12)
        solved = minimize(
            lambda p, q=forecast: float(np.sum(q * np.log(q / p))),
            share,
            bounds=list(zip(lower, upper, strict=True)),
            constraints={"type": "eq", "fun": lambda p: p.sum() - 1.0},
        )
        assert float(np.sum(forecast * np.log(forecast / found))) <= solved.fun + 1e-6


@pytest.mark.parametrize(
    "fields",
    [
        {"thinning": 0},
        {"tolerance": -0.1},
        {"tolerance": 1.0},
        {"tolerance": float("nan")},
        {"mean_time_between_false_alarms": 20.0},
        {"mean_time_between_false_alarms": float("nan")},
        {"mean_time_between_false_alarms": float("inf")},
    ],
)
def test_senseless_settings_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(SketchError):
        SequentialSettings(**fields)  # type: ignore[arg-type]


def test_an_empty_reference_is_refused() -> None:
    with pytest.raises(SketchError, match="empty"):
        SequentialDrift(REFERENCE.emptied(), THINNED)
