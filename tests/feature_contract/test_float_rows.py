"""Vectors become float32 as they do in the log, and entries that are no numbers are named."""

from typing import Any

import numpy as np
import pytest

from feature_contract.float_rows import float32_rows
from feature_contract.missing_features import MissingFeatures


def test_serving_rounds_as_the_log_does() -> None:
    row = float32_rows([[0.1, 1e39]], 2, "user_embedding")
    assert row.dtype == np.float32
    assert row.tolist() == [[float(np.float32(0.1)), float("inf")]]


def test_no_rows_keep_their_width() -> None:
    assert float32_rows([], 3, "user_embedding").shape == (0, 3)


@pytest.mark.parametrize("rows", [[[1.0, "x"]], [[1.0, [2.0]]], ["ab"]])
def test_what_is_not_a_number_is_named(rows: Any) -> None:
    with pytest.raises(MissingFeatures, match="user_embedding"):
        float32_rows(rows, 2, "user_embedding")
