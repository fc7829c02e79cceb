"""Values of a request as plain objects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from serving_agent.decide.decision_errors import InvalidRequest
from serving_agent.decide.request_values import listed, whole_number


@pytest.mark.parametrize("value", [5, np.int32(5), np.uint64(5)])
def test_any_integer_becomes_an_int(value: Any) -> None:
    assert (whole_number("x", value), type(whole_number("x", value))) == (5, int)


@pytest.mark.parametrize("value", [5.0, "5", None, 2**63, -(2**63) - 1])
def test_other_numbers_are_refused(value: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"^x "):
        whole_number("x", value)


def test_none_is_an_empty_list_and_what_cannot_be_iterated_is_refused() -> None:
    assert (listed("x", None), listed("x", (1, 2))) == ([], [1, 2])
    with pytest.raises(InvalidRequest, match="x is not a list"):
        listed("x", 5)  # type: ignore[arg-type]
