"""The errors name the feature and, where there is one, the value."""

import pytest

from event_schemas.errors import TrimtabError
from feature_contract.missing_features import QUOTED_CHARACTERS, AbsurdFeature, MissingFeatures


def test_an_absurd_value_is_named_and_counts_as_missing() -> None:
    fault = AbsurdFeature("context.hour", "1e30", 1e20)
    assert isinstance(fault, MissingFeatures) and isinstance(fault, TrimtabError)
    assert (fault.feature, fault.value) == ("context.hour", "'1e30'")
    bound = "only finite numbers within ±1e+20 are accepted"
    assert fault.what == f"request feature 'context.hour' contains '1e30'; {bound}"
    assert "[features]" in fault.fix


@pytest.mark.parametrize("value", ["9" * 10_000, "a\nb", 1e30, float("nan")])
def test_what_is_quoted_is_one_short_line(value: object) -> None:
    quoted = AbsurdFeature("context.hour", value, 1e20).value
    assert len(quoted) <= QUOTED_CHARACTERS + 1
    assert "\n" not in quoted
