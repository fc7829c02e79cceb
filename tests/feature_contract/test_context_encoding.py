"""Context features one by one."""

import numpy as np
import pytest

from feature_contract.context_encoding import category_ids, context_of, number_values
from feature_contract.missing_features import MissingFeatures
from feature_contract.number_range import NUMBER_RANGES
from feature_contract.stable_buckets import MISSING_BUCKET, bucket

PLAIN = NUMBER_RANGES[1]


def test_a_missing_optional_category_is_bucket_zero() -> None:
    ids = category_ids([{"device": "ios"}, {}, {"device": ""}], [("device", False)], 32)
    assert ids.tolist() == [[bucket("device", "ios", 32)], [MISSING_BUCKET], [MISSING_BUCKET]]
    assert ids[0, 0] != MISSING_BUCKET


def test_an_optional_number_says_whether_it_was_there() -> None:
    columns = number_values([{"x": "0"}, {}, {"x": "-2.5"}], [("x", False)], PLAIN)
    np.testing.assert_array_equal(columns, [[0.0, 1.0], [0.0, 0.0], [-2.5, 1.0]])


def test_a_required_number_has_one_column() -> None:
    assert number_values([{"x": "7"}], [("x", True)], PLAIN).tolist() == [[7.0]]


def test_a_broken_number_is_refused_even_when_optional() -> None:
    for text in ("seven", "nan", "1e39"):
        with pytest.raises(MissingFeatures, match=r"context\.x"):
            number_values([{"x": text}], [("x", False)], PLAIN)


def test_a_long_broken_value_is_quoted_in_part() -> None:
    with pytest.raises(MissingFeatures) as caught:
        number_values([{"x": "seven" * 1000}], [("x", True)], PLAIN)
    assert len(caught.value.what) < 120


def test_the_last_of_two_values_counts() -> None:
    request = {"context": [{"name": "x", "value": "1"}, {"name": "x", "value": "2"}]}
    assert context_of(request)["x"] == "2"  # type: ignore[arg-type]
