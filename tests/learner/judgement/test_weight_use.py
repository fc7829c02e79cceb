"""Means and ends of each weight's range, by hand."""

import numpy as np
import pytest

from event_schemas.action_space import Axis, catalogue_action_space, grid_action_space
from learner.judgement.weight_use import weight_use

SPACE = grid_action_space([Axis("repin", 91.6, 10.0, 200.0, 5)])


def use_of(shares: list[float]) -> tuple[float, float, float, str]:
    [found] = weight_use(np.array(shares), SPACE)
    return found.mean, found.at_low, found.at_high, found.advice


def test_the_mean_is_over_requests_and_production_is_no_end() -> None:
    mean, low, high, advice = use_of([0.1, 0.2, 0.3, 0.2, 0.1, 0.1])
    assert mean == pytest.approx(0.1 * 10 + 0.2 * 57.5 + 0.3 * 105 + 0.2 * 152.5 + 0.1 * 200 + 0.1 * 91.6)
    assert (low, high) == pytest.approx((0.1, 0.1))
    assert advice == "the range holds what the policy serves"


def test_a_crowded_end_asks_for_more_and_an_idle_one_for_less() -> None:
    assert use_of([0.0, 0.0, 0.0, 0.5, 0.5, 0.0])[3].startswith("explore values above 200")
    assert use_of([0.6, 0.4, 0.0, 0.0, 0.0, 0.0])[3].startswith("explore values below 10")
    assert "hardly ever serves 200" in use_of([0.1, 0.3, 0.3, 0.3, 0.0, 0.0])[3]
    assert weight_use(np.full(6, 1 / 6), SPACE)[0].even == pytest.approx(0.2)


def test_a_catalogue_has_none() -> None:
    assert weight_use(np.ones(1), catalogue_action_space("a", ["size"], {"a": [1.0]})) == ()
