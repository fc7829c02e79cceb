"""The peer's script asks its estimators about every policy, scope and objective."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers.obp_evaluation import evaluated


class MatchedMean:
    """IPS by obp's arguments, and an interval that only counts that it was asked."""

    asked = 0

    def estimate_policy_value(self, **given: Any) -> float:
        rows = np.arange(len(given["action"]))
        weights = given["action_dist"][rows, given["action"], 0] / given["pscore"]
        assert given["estimated_rewards_by_reg_model"].shape == given["action_dist"].shape
        return float((weights * given["reward"]).mean())

    def estimate_interval(self, **given: Any) -> None:
        self.asked += 1


def test_every_cell_is_estimated_from_its_rows() -> None:
    rng, n = np.random.default_rng(0), 60
    sweep = {
        "action": rng.integers(3, size=n),
        "pscore": rng.uniform(0.2, 1.0, n),
        "reward": rng.random((n, 2)),
        "cohort": rng.integers(2, size=n),
        "q": rng.random((n, 3, 2)),
        "arms": rng.integers(3, size=(4, n)),
    }
    estimator = MatchedMean()
    found = evaluated({"dr": estimator}, sweep)
    assert estimator.asked == 1
    assert found["cpu_seconds"] >= 0 and found["interval_cpu_seconds"] >= 0
    for index, arms in enumerate(sweep["arms"]):
        terms = (arms == sweep["action"])[:, None] / sweep["pscore"][:, None] * sweep["reward"]
        for scope, rows in enumerate([slice(None), sweep["cohort"] == 0, sweep["cohort"] == 1]):
            values = [cell["dr"] for cell in found["values"][index][scope]]
            np.testing.assert_allclose(values, terms[rows].mean(axis=0), rtol=1e-12)
