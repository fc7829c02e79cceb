"""Edges avoid clusters of values: jitter moves no mass between bins, real shifts do."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift_detection.distribution_distance import population_stability_index
from drift_detection.quantile_sketch import QuantileSketch
from drift_detection.sketch_edges import JITTER, edges_of

REFERENCE, LIVE = 5_000, 2_000


def psi(reference: np.ndarray, live: np.ndarray) -> float:
    sketch = QuantileSketch.from_sample(reference)
    return population_stability_index(sketch.counts, sketch.emptied().updated(live).counts)


def shaken(values: np.ndarray, rng: np.random.Generator, jitter: float = 1e-6) -> np.ndarray:
    return values + rng.uniform(-jitter, jitter, values.size)


@st.composite
def states(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    """Values and shares of 1, 2 or 4 distinct states, some of them close together, and a seed."""
    count = draw(st.sampled_from([1, 2, 4]))
    values = draw(st.lists(st.floats(0.001, 0.999), min_size=count, max_size=count))
    if count > 1 and draw(st.booleans()):
        values[1] = values[0] + draw(st.sampled_from([1e-7, 1e-6, 3e-6, 1e-5, 1e-4, 1e-3]))
    weights = np.array(draw(st.lists(st.integers(1, 9), min_size=count, max_size=count)), dtype=float)
    return np.array(values), weights / weights.sum(), draw(st.integers(0, 2**32 - 1))


@given(states())
@settings(max_examples=300, deadline=None)
def test_the_same_few_states_on_two_runtimes_are_no_drift(drawn: tuple[np.ndarray, np.ndarray, int]) -> None:
    values, shares, seed = drawn
    rng = np.random.default_rng(seed)
    reference = rng.choice(values, REFERENCE, p=shares)
    live = shaken(rng.choice(values, LIVE, p=shares), rng)
    assert psi(reference, live) < 0.05
    assert psi(shaken(reference, rng, 1e-7), live) < 0.05


@given(states(), st.integers(2, 60))
@settings(max_examples=100, deadline=None)
def test_nor_are_those_of_many_arms(drawn: tuple[np.ndarray, np.ndarray, int], arms: int) -> None:
    values, shares, seed = drawn
    rng = np.random.default_rng(seed)
    offsets = rng.normal(0, rng.choice([1e-7, 1e-6, 1e-4, 1e-2]), arms)
    reference = (rng.choice(values, 1_000, p=shares)[:, None] + offsets).ravel()
    live = shaken((rng.choice(values, 500, p=shares)[:, None] + offsets).ravel(), rng)
    assert psi(reference, live) < 0.05


@pytest.mark.parametrize("count", [2, 4])
def test_another_mix_of_states_is_drift(count: int) -> None:
    rng = np.random.default_rng(count)
    values = np.linspace(0.2, 0.6, count)
    even, skewed = np.full(count, 1 / count), np.r_[0.8, np.full(count - 1, 0.2 / (count - 1))]
    reference = rng.choice(values, REFERENCE, p=even)
    assert psi(reference, shaken(rng.choice(values, LIVE, p=skewed), rng)) > 0.25


@given(st.floats(0.01, 0.99), st.sampled_from([1e-4, 1e-3, 0.01, 0.1]), st.sampled_from([1, 2, 4]))
def test_states_that_move_are_drift(first: float, move: float, count: int) -> None:
    rng = np.random.default_rng(0)
    values = first + 0.3 * np.arange(count)
    reference = rng.choice(values, REFERENCE)
    assert psi(reference, shaken(rng.choice(values, LIVE) + move, rng)) > 0.25


@pytest.mark.parametrize("scale", [1e-6, 1e-4, 1.0, 1e5])
@pytest.mark.parametrize("shape", ["beta", "lognormal", "normal", "mixed"])
def test_smooth_heads_of_any_scale_are_judged_as_before(shape: str, scale: float) -> None:
    rng = np.random.default_rng(3)

    def draw(count: int) -> np.ndarray:
        if shape == "beta":
            return rng.beta(2, 5, count)
        if shape == "lognormal":
            return rng.lognormal(0, 1, count)
        if shape == "normal":
            return rng.normal(3, 1, count)
        return np.where(rng.random(count) < 0.4, 0.0, rng.beta(2, 5, count))

    reference, live = draw(REFERENCE) * scale, draw(LIVE) * scale
    assert psi(reference, live) < 0.03
    spread = float(np.std(reference))
    assert psi(reference, live + 0.75 * spread) > 0.25
    assert 7 <= len(QuantileSketch.from_sample(reference).counts) <= 16


@given(st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=60), st.integers(2, 12))
def test_edges_are_finite_and_strictly_increasing(values: list[float], bins: int) -> None:
    edges = edges_of(np.asarray(values), bins)
    assert edges and all(np.isfinite(edges))
    assert all(low < high for low, high in pairwise(edges))


def test_a_head_that_hardly_varies_is_one_bin_between_two_edges() -> None:
    rng = np.random.default_rng(0)
    narrow = 0.5 + rng.uniform(0, 3e-5, REFERENCE)
    assert len(edges_of(narrow, 10)) == 2
    assert psi(narrow, shaken(0.5 + rng.uniform(0, 3e-5, LIVE), rng)) < 0.05
    assert psi(narrow, narrow + 1e-3) > 0.25


def test_a_constant_has_walls_beyond_the_jitter() -> None:
    below, above = edges_of(np.full(100, 0.5), 10)
    assert 0.5 - below > JITTER < above - 0.5 < 1e-4
