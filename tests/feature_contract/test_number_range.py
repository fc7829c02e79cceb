"""Numbers are within bounds, and large ones are encoded by their logarithm."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.number_bounds import LARGEST_FLOAT
from feature_contract.number_range import LINEAR_TO, NUMBER_RANGES, compress

NUMBERS = st.floats(-1e300, 1e300)


@given(st.lists(st.floats(-LINEAR_TO, LINEAR_TO, width=32), max_size=9))
def test_ordinary_numbers_stay_what_they_are(values: list[float]) -> None:
    assert compress(np.array(values)).tolist() == values


@given(NUMBERS, NUMBERS)
def test_it_rises_and_knows_both_signs(a: float, b: float) -> None:
    low, high = sorted((a, b))
    small, large = compress(np.array([low, high]))
    assert small <= large
    assert compress(np.array([-a]))[0] == -compress(np.array([a]))[0]


@given(st.floats(LINEAR_TO, 1e300))
def test_large_numbers_grow_as_their_logarithm(value: float) -> None:
    expected = LINEAR_TO * (1 + math.log(value / LINEAR_TO))
    assert math.isclose(compress(np.array([value]))[0], expected, rel_tol=1e-9)


@given(st.lists(st.floats(-1e20, 1e20), min_size=1, max_size=40), st.data())
def test_a_value_is_encoded_the_same_alone_and_among_others(values: list[float], data: st.DataObject) -> None:
    for kind in (np.float32, np.float64):
        array = np.array(values, dtype=kind)
        at = data.draw(st.integers(0, len(values) - 1))
        together = NUMBER_RANGES[2].encoded(array)
        assert together.dtype == np.float32
        assert NUMBER_RANGES[2].encoded(array[at : at + 1])[0] == together[at]


def test_the_first_version_changes_nothing() -> None:
    assert NUMBER_RANGES[1].encoded(np.array([1e30, -7.5])).tolist() == [float(np.float32(1e30)), -7.5]
    assert NUMBER_RANGES[1].largest_number == LARGEST_FLOAT


def test_any_64_bit_integer_may_be_meant() -> None:
    assert NUMBER_RANGES[2].largest_number > 2**64
