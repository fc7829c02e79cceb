"""Comparisons of arms as JSON: a round trip keeps every value, and NaN never gets in."""

from __future__ import annotations

import json

import numpy as np

from off_policy.arm_results import ArmComparison
from tests.off_policy.arm_worlds import compared, draw_log

LOG = draw_log(600, "session", 1.0, np.random.default_rng(3))


def test_a_comparison_survives_a_round_trip() -> None:
    said = compared(LOG, "request", "session").as_dict()
    text = json.dumps(said, allow_nan=False)
    assert ArmComparison.from_dict(json.loads(text)).as_dict() == said


def test_the_values_are_where_readers_look_for_them() -> None:
    found = compared(LOG, "request", "session")
    said = found.as_dict()
    assert said["outcomes"] == ["request", "session"]
    arm = said["arms"]["more"]
    assert (arm["share"], arm["users"]) == (0.5, found.arms["more"].users)
    session = arm["outcomes"]["session"]
    assert (session["role"], session["per"]) == ("signal", "session")
    assert np.isclose(session["se"] ** 2, arm["covariance"][1][1], rtol=1e-12)
    assert session["interval"]["lower"] < session["delta"] < session["interval"]["upper"]


def test_what_is_undefined_is_null() -> None:
    said = compared(LOG.take(LOG.arm == 0), "session").as_dict()
    outcome = said["arms"]["more"]["outcomes"]["session"]
    assert (outcome["mean"], outcome["delta"], outcome["interval"]) == (None, None, None)
    assert said["arms"]["more"]["covariance"] == [[None]]
    assert said["arms"]["control"]["outcomes"]["session"]["delta"] is None
    json.dumps(said, allow_nan=False)
