"""Sketches: quantile edges, atoms, counting, merging, JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_detection.quantile_sketch import QuantileSketch, SketchError

FINITE = st.floats(-1e6, 1e6)


def test_bins_have_nearly_equal_mass() -> None:
    sketch = QuantileSketch.from_sample(np.random.default_rng(0).beta(2, 5, 10_000))
    assert len(sketch.counts) == 10
    assert sketch.total == 10_000
    assert max(sketch.counts) - min(sketch.counts) <= 1


def test_an_edge_belongs_to_the_bin_below_it() -> None:
    sketch = QuantileSketch(edges=(1.0, 2.0), counts=(0, 0, 0)).updated([1.0, 1.5, 2.0, 2.5])
    assert sketch.counts == (1, 2, 1)
    assert (sketch.lowest, sketch.highest) == (1.0, 2.5)


def test_a_constant_head_notices_any_change() -> None:
    sketch = QuantileSketch.from_sample([0.5] * 100)
    same, below, above = (sketch.emptied().updated([value]) for value in (0.5, 0.4, 0.6))
    assert same.counts == (0, 1, 0)
    assert below.counts == (1, 0, 0)
    assert above.counts == (0, 0, 1)


def test_a_repeated_value_gets_its_own_bin() -> None:
    values = np.r_[np.zeros(400), np.random.default_rng(1).random(600)]
    sketch = QuantileSketch.from_sample(values)
    assert sketch.counts[1] == 400
    assert sketch.counts[0] == 0


def test_values_that_are_not_finite_are_counted_apart() -> None:
    sketch = QuantileSketch.from_sample([0.1, 0.2, 0.3, float("nan"), float("inf")], bins=2)
    assert (sketch.total, sketch.non_finite, sketch.seen) == (3, 2, 5)
    assert sketch.updated([float("nan")]).non_finite == 3
    assert sketch.updated([]) is sketch


@given(st.lists(FINITE, min_size=1), st.lists(FINITE), st.lists(FINITE))
def test_values_count_alike_in_pieces_and_together(reference: list[float], one: list[float], two: list[float]) -> None:
    empty = QuantileSketch.from_sample(reference).emptied()
    assert empty.updated(one).updated(two) == empty.updated(one + two)


@given(st.lists(FINITE | st.just(float("nan")), min_size=1).filter(lambda v: any(x == x for x in v)))
def test_round_trip_through_json(values: list[float]) -> None:
    sketch = QuantileSketch.from_sample(values, bins=4)
    text = json.dumps(sketch.as_dict(), allow_nan=False)
    assert QuantileSketch.from_dict(json.loads(text)) == sketch
    assert sketch.seen == len(values)


@pytest.mark.parametrize(
    "change",
    [
        {"edges": [2.0, 1.0]},
        {"counts": [1.9, 1, 1]},
        {"counts": [1, 1, float("inf")]},
        {"lowest": float("nan")},
        {"highest": float("inf")},
        {"edges": []},
        {"edges": [1.0, float("nan")]},
        {"counts": [1, 2]},
        {"counts": [1, -1, 3]},
        {"counts": None},
        {"total": 99},
        {"total": "many"},
        {"non_finite": -1},
    ],
)
def test_a_broken_sketch_is_refused(change: dict[str, object]) -> None:
    sound = QuantileSketch(edges=(1.0, 2.0), counts=(1, 1, 1), lowest=0.5, highest=2.5).as_dict()
    with pytest.raises(SketchError):
        QuantileSketch.from_dict(sound | change)
    incomplete = {name: value for name, value in sound.items() if name not in change}
    with pytest.raises(SketchError):
        QuantileSketch.from_dict(incomplete)


@pytest.mark.parametrize(("values", "bins"), [([], 10), ([float("nan")], 10), ([1.0], 1)])
def test_nothing_to_sketch_is_refused(values: list[float], bins: int) -> None:
    with pytest.raises(SketchError, match="cannot build a sketch"):
        QuantileSketch.from_sample(values, bins)
