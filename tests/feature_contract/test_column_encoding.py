"""Columns give the arrays that records give, bit for bit, and mark the requests that records refuse."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_contract import FeatureContract
from feature_contract.previous_encoding import PreviousShape, WeightRange
from learner.examples.request_columns import request_columns
from tests.feature_contract.conftest import CONTRACT
from tests.request_frames import request_frame

Make = Callable[..., Any]
NOW = 1_700_000_000_000
PREVIOUS = PreviousShape(2, (WeightRange("repin", 10.0, 200.0), WeightRange("p2p", 1.0, 30.0)))

times = st.integers(NOW - 5_000_000, NOW + 1_000_000)
floats32 = st.floats(width=32) | st.sampled_from([0.0, 10.5, -300.0, 1e7, float("nan"), float("inf")])
good32 = st.floats(-1e5, 1e5, width=32)
vectors = st.lists(good32, min_size=2, max_size=2) | st.lists(floats32, max_size=3)
weights = st.lists(st.floats(-100, 300), min_size=2, max_size=2) | st.lists(st.floats(), max_size=3)
numbers = st.sampled_from(["13", " 7.5 ", "1_000", "-20000", "nan", "inf", "1e30", "seven", "", "٣"])
features = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["surface", "device", "hour", "tenure", "other"]),
        "value": numbers | st.sampled_from(["home", "ios", "böse", ""]),
    }
)
usual = [{"name": "surface", "value": "home"}, {"name": "hour", "value": "13"}]
items = st.fixed_dictionaries(
    {
        "item_id": st.just("i"),
        "action_type": st.sampled_from(["save", "click", ""]),
        "event_time": times | st.just(NOW),
        "embedding": vectors,
    }
)
requests = st.fixed_dictionaries(
    {
        "event_time": st.just(NOW),
        "user_embedding": vectors,
        "context": st.lists(features, max_size=5).map(lambda extra: [*usual, *extra]) | st.lists(features, max_size=3),
        "history": st.lists(items, max_size=5),
    },
    optional={
        "previous": st.none()
        | st.lists(st.fixed_dictionaries({"event_time": times | st.just(NOW), "weights": weights}), max_size=3)
    },
)


@settings(deadline=None, max_examples=60)
@given(records=st.lists(requests, max_size=6), encoding=st.sampled_from([1, 2]))
def test_columns_give_what_records_give(records: list[Any], encoding: int) -> None:
    contract = replace(CONTRACT, previous=PREVIOUS, encoding=encoding)
    encoded, refused = contract.encode_columns(request_columns(request_frame(records)))
    stored: Any = [
        {name.removeprefix("request_"): value for name, value in row.items()}
        for row in request_frame(records).to_dicts()
    ]
    sound = contract.encodable(stored)
    np.testing.assert_array_equal(refused, ~sound)
    expected = contract.encode([record for record, good in zip(stored, sound, strict=True) if good])
    assert set(encoded) == set(expected) and encoded.rows == len(records)
    for name, array in expected.items():
        assert encoded[name].dtype == array.dtype
        np.testing.assert_array_equal(encoded[name][sound], array)
        assert not encoded[name][~sound].any()


def test_only_the_newest_items_must_be_whole(make_request: Make) -> None:
    old = [{"item_id": "a", "action_type": "save", "event_time": NOW - 9, "embedding": [1.0]}]
    new = [{**old[0], "event_time": NOW - n, "embedding": [1.0, 2.0]} for n in (3, 2, 1)]
    given = [make_request(history=[*old, *new]), make_request(history=old)]
    _, refused = CONTRACT.encode_columns(request_columns(request_frame(given)))
    assert refused.tolist() == [False, True]


@pytest.mark.parametrize("rows", [0, 3])
def test_a_contract_without_features_gives_no_arrays(make_request: Make, rows: int) -> None:
    columns = request_columns(request_frame([make_request()] * rows))
    encoded, refused = FeatureContract(0, 0, 0, (), 16).encode_columns(columns)
    assert dict(encoded) == {} and encoded.rows == rows and refused.tolist() == [False] * rows
