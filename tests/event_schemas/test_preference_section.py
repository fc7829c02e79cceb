"""The section `[preference]`: its defaults bound nothing, and shares are shares."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from event_schemas.experiment_sections import GateSpec
from event_schemas.preference_section import PreferenceSpec
from event_schemas.units import DAY_MS


def test_the_defaults_bound_nothing() -> None:
    spec = PreferenceSpec()
    assert (spec.max_mean_weight_move, spec.max_changed_arms, spec.alpha) == (1.0, 1.0, 0.1)


@pytest.mark.parametrize("name", ["max_mean_weight_move", "max_changed_arms", "alpha"])
@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_what_is_no_share_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValidationError, match=name):
        PreferenceSpec.model_validate({name: value})


def test_a_canary_that_could_never_be_promoted_is_refused() -> None:
    assert GateSpec.model_validate({"min_canary_time": "0s"}).max_canary_time == 28 * DAY_MS
    with pytest.raises(ValidationError, match="no canary would ever be promoted"):
        GateSpec.model_validate({"min_canary_time": "2w", "max_canary_time": "1w"})
