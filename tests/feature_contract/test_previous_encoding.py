"""The arrays of the weights that the user was served before."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from event_schemas.action_space import Axis, grid_action_space
from feature_contract.missing_features import AbsurdFeature, MissingFeatures
from feature_contract.number_range import NUMBER_RANGES
from feature_contract.previous_encoding import PreviousShape, WeightRange, previous_arrays

NOW = 1_700_000_000_000
MINUTE = 60_000
AXES = (Axis("repin", 91.6, 10, 200, 7), Axis("p2p", 9.1, 1, 30, 7))
RANGES = tuple(WeightRange(axis.name, axis.low, axis.high) for axis in AXES)
PLAIN, NEWEST = NUMBER_RANGES[1], NUMBER_RANGES[2]


def entry(minutes_ago: float, *weights: float) -> dict[str, Any]:
    return {"event_time": NOW - int(minutes_ago * MINUTE), "weights": list(weights)}


def test_newest_first_normalised_and_padded_with_zeros(make_request: Callable[..., Any]) -> None:
    request = make_request(previous=[entry(1, 200.0, 1.0), entry(10, 105.0, 30.0)])
    arrays = previous_arrays([request], PreviousShape(3, RANGES), NEWEST)
    assert arrays["previous_weights"].tolist() == [[[1.0, 0.0], [0.5, 1.0], [0.0, 0.0]]]
    assert arrays["previous_mask"].tolist() == [[1.0, 1.0, 0.0]]
    np.testing.assert_allclose(arrays["previous_ages"], [[np.log(2.0), np.log(11.0), 0.0]], rtol=1e-6)
    assert {array.dtype.name for array in arrays.values()} == {"float32"}


@pytest.mark.parametrize("encoding", NUMBER_RANGES)
def test_the_weights_of_an_arm_give_the_arm_s_features(make_request: Callable[..., Any], encoding: int) -> None:
    space = grid_action_space(AXES)
    request = make_request(previous=[{"event_time": NOW, "weights": row} for row in space.weights.tolist()])
    arrays = previous_arrays([request], PreviousShape(space.arms, RANGES), NUMBER_RANGES[encoding])
    np.testing.assert_array_equal(arrays["previous_weights"][0], space.features)


def test_only_the_newest_are_kept_in_the_order_of_their_times(make_request: Callable[..., Any]) -> None:
    listed = [entry(5, 10.0, 1.0), entry(1, 29.0, 1.0), entry(1, 48.0, 1.0), entry(9, 67.0, 1.0)]
    weights = previous_arrays([make_request(previous=listed)], PreviousShape(3, RANGES), PLAIN)["previous_weights"]
    np.testing.assert_allclose(weights[0, :, 0], [0.1, 0.2, 0.0], rtol=1e-6)


@pytest.mark.parametrize("previous", [[], None])
def test_a_request_without_any_gives_zeros(make_request: Callable[..., Any], previous: Any) -> None:
    requests = [make_request(), make_request(previous=previous)]
    for array in previous_arrays(requests, PreviousShape(2, RANGES), NEWEST).values():
        assert not array.any()
    assert {len(array) for array in previous_arrays([], PreviousShape(2, RANGES), NEWEST).values()} == {0}


def test_a_time_after_the_request_has_age_zero(make_request: Callable[..., Any]) -> None:
    arrays = previous_arrays([make_request(previous=[entry(-5, 10.0, 1.0)])], PreviousShape(1, RANGES), PLAIN)
    assert arrays["previous_ages"].tolist() == [[0.0]]


def test_weights_far_outside_their_bounds_grow_by_their_logarithm(make_request: Callable[..., Any]) -> None:
    arrays = previous_arrays([make_request(previous=[entry(1, 1e9, -1e9)])], PreviousShape(1, RANGES), NEWEST)
    assert 10 < arrays["previous_weights"][0, 0, 0] < 500
    assert -500 < arrays["previous_weights"][0, 0, 1] < -10


@pytest.mark.parametrize(
    ("broken", "kind", "feature"),
    [
        ([1.0], MissingFeatures, "previous[1].weights"),
        ([1.0, 2.0, 3.0], MissingFeatures, "previous[1].weights"),
        (["x", 2.0], MissingFeatures, "previous.weights"),
        ([float("nan"), 1.0], AbsurdFeature, "previous[1].weights"),
        ([1.0, float("inf")], AbsurdFeature, "previous[1].weights"),
        ([1.0, 1e300], AbsurdFeature, "previous[1].weights"),
    ],
)
def test_broken_weights_are_refused_and_named(
    make_request: Callable[..., Any], broken: list[Any], kind: type[MissingFeatures], feature: str
) -> None:
    sound = make_request(previous=[entry(3, 10.0, 1.0)])
    request = make_request(previous=[entry(1, 10.0, 1.0), {"event_time": NOW - 2 * MINUTE, "weights": broken}])
    with pytest.raises(kind) as caught:
        previous_arrays([sound, request], PreviousShape(3, RANGES), NEWEST)
    assert caught.value.feature == feature
