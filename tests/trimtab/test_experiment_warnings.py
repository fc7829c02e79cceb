"""What is allowed and may harm is told once, with what helps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from event_schemas.experiment_sections import JoinSpec
from trimtab.experiment_warnings import join_warnings


@given(st.integers(1, 10), st.integers(1, 10))
def test_a_lateness_below_the_skew_is_told_with_both(lateness: int, skew: int) -> None:
    told = list(join_warnings(JoinSpec(allowed_lateness=lateness, max_future_skew=skew)))
    assert len(told) == (lateness < skew)
    for each in told:
        assert f"allowed_lateness = {lateness}ms" in each.what and f"max_future_skew = {skew}ms" in each.what
        assert "\n" not in each.what + each.fix
    assert not list(join_warnings(JoinSpec(allowed_lateness=lateness, max_future_skew=skew, clock="replay")))
