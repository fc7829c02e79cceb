"""Two kinds of requests with a best arm each: what personalising gains over static rivals is known by hand."""

import numpy as np
import pytest

from benchmarks.paper.personalisation import nearest_arm, personalised, rival_values, summary
from benchmarks.paper.replication import ALPHAS, KnownRequests, experiment_of

SPACE = experiment_of("linear", 1).action_space
FIRST, SECOND = 3, 17


def known() -> KnownRequests:
    """Arm FIRST doubles the first request's rewards, SECOND the second's."""
    values = np.ones((2, SPACE.arms, 2))
    values[0, FIRST], values[1, SECOND] = 2.0, 2.0
    arms = np.tile([FIRST, SECOND], (len(ALPHAS), 1))
    return KnownRequests(np.array(["CORE", "REST"], dtype=object), arms, values, SPACE.production_arm)


def test_the_marginal_deals_the_same_arms_to_anyone() -> None:
    found = rival_values(known(), np.array([FIRST, SECOND]), SPACE)
    assert found["learned"].tolist() == [[2.0, 2.0], [2.0, 2.0]]
    assert found["marginal"].tolist() == [[1.5, 1.5], [1.5, 1.5]]


def test_the_nearest_arm_to_one_arms_weights_is_that_arm() -> None:
    assert nearest_arm(np.array([FIRST, FIRST]), SPACE) == FIRST


def test_gains_are_in_percent_of_production() -> None:
    rows = personalised(known(), SPACE)
    assert [row["alpha"] for row in rows] == [0.125, 0.5, 0.75]
    for row in rows:
        assert row["lifts"]["learned"] == [100.0, 100.0]
        assert row["gain"]["marginal"] == pytest.approx(50.0)
        assert row["weights"] == pytest.approx(np.asarray(SPACE.weights)[[FIRST, SECOND]].mean(axis=0).tolist())
    [cell, *_] = summary([rows, rows])
    assert cell["gain"]["marginal"] == [50.0, 50.0, 50.0]
