"""Arms follow from the experiment's coin, and lifts from the arm's own users."""

import numpy as np

from benchmarks.paper.online_arms import (
    BY_COHORT,
    PRODUCTION,
    OnlineLog,
    arms_of_users,
    preferences_of,
    unexplored,
)
from benchmarks.paper.replication import experiment_of
from event_schemas.experiment_coins import arm_index

EXPERIMENT = experiment_of("linear", 1)


def test_users_are_split_by_the_experiments_own_coin() -> None:
    found = arms_of_users(EXPERIMENT, "paper-2", np.arange(40, 60), 4)
    salt = EXPERIMENT.exploration.salt
    assert found.tolist() == [arm_index(salt, "paper-2", f"user-{user}", [0.25] * 4) for user in range(40, 60)]
    assert unexplored(EXPERIMENT).exploration.exploration_rate == 0.0


def test_production_has_no_preference_and_each_cohort_its_own() -> None:
    found = preferences_of({"CORE": 0.75, "REST": 0.25})
    assert next(iter(found)) == PRODUCTION and found[PRODUCTION].of_cohort("CORE") is None
    assert found["alpha=0.125"].of_cohort("REST") == (0.875, 0.125)
    assert found[BY_COHORT].of_cohort("CORE") == (0.25, 0.75)


def test_lifts_compare_an_arms_users_with_productions() -> None:
    users = np.repeat(np.arange(400), 5)
    arm, cohort = users % 2, np.where(users < 200, "CORE", "REST").astype(object)
    reward = np.stack([(np.arange(2000) % 5 < 2 + arm), (np.arange(2000) % 5 < 2)], axis=1).astype(np.float64)
    reward[users % 4 == 0] = 0.0  # users differ, so that errors are not 0
    base = np.full((2000, 2), 0.2)
    served = np.where((cohort == "CORE")[:, None], base * [1.5, 1.0], base)
    log = OnlineLog((PRODUCTION, "other"), arm, users, cohort, reward, served, base)
    assert np.allclose(log.true_lifts("other"), [25.0, 0.0])
    assert np.allclose(log.true_lifts("other", "CORE"), [50.0, 0.0])
    found = log.outcomes(("repin", "p2p"))["other"]
    means = [reward[arm == each, 0].mean() for each in (1, 0)]
    assert np.isclose(found["repin"].lift, means[0] / means[1] - 1.0)
    interval = found["repin"].lift_interval
    assert interval is not None and interval.lower < found["repin"].lift < interval.upper
