"""Limits of a box: vectors inside the bounds, and a density exactly where a vector was explored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from event_schemas.action_space import Bounds, box_action_space
from stream_processors.rule.arm_weights import ArmWeights
from stream_processors.rule.box_limits import BoxLimits, density_contradiction

SPACE = box_action_space([Bounds("repin", 91.6, 10, 200), Bounds("p2p", 9.1, 1, 30)])
LIMITS = BoxLimits(SPACE)


@pytest.mark.parametrize(
    ("vector", "fault"),
    [
        ([10.0, 30.0], None),
        ([200.0 + 1e-5, 1.0], None),
        ([200.0 + 1e-6 * 190.0, 1.0 - 1e-6 * 29.0], None),
        ([10.0 - 1e-6 * 190.0, 30.0 + 1e-6 * 29.0], None),
        ([200.0 + 2e-4, 1.0], "weights: repin = 200.0002 is outside its bounds, 10 to 200"),
        ([200.01, 1.0], "weights: repin = 200.01 is outside its bounds, 10 to 200"),
        ([100.0, 0.999], "weights: p2p = 0.999 is outside its bounds, 1 to 30"),
        ([float("nan"), 1.0], "weights: repin = nan is outside its bounds, 10 to 200"),
        ([100.0, float("inf")], "weights: p2p = inf is outside its bounds, 1 to 30"),
        ([100.0], "weights has 1 values, but the experiment tunes 2 weights"),
        ([], "weights has 0 values, but the experiment tunes 2 weights"),
    ],
)
def test_a_vector_has_each_weight_inside_its_bounds(vector: list[float], fault: str | None) -> None:
    assert next(LIMITS.vector_faults("weights", vector), None) == fault
    if len(vector) == 2:
        assert LIMITS.inside(np.array([vector])).tolist() == [fault is None]


@pytest.mark.parametrize(
    ("slice_name", "arm", "density", "fault"),
    [
        ("EXPLORE", 0, 2.3, None),
        ("EXPLORE", 0, None, "log_density is null, but its decision explored a vector"),
        ("EXPLORE", 1, None, None),
        ("EXPLORE", 1, 0.0, "log_density = 0.0 is that of a vector, but its decision's arm = 1 is production"),
        ("POLICY", 0, None, None),
        ("POLICY", 0, -4.0, None),
        ("FALLBACK", 1, -4.0, "log_density = -4.0 is that of a vector"),
    ],
)
def test_a_density_belongs_to_a_vector(slice_name: str, arm: int, density: Any, fault: str | None) -> None:
    found = density_contradiction({"slice": slice_name, "arm": arm}, {"log_density": density})
    assert (found is None) == (fault is None)
    assert (found or "").startswith(fault or "")


def test_production_has_its_own_weights_and_the_vector_none() -> None:
    given = np.array([[91.6, 9.1], [91.6, 9.1], [92.0, 9.1]])
    assert ArmWeights(SPACE.weights).match(np.array([1, 0, 1]), given).tolist() == [True, False, False]
