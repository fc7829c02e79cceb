"""A replication's hold-out is of the last seven days, and its known requests are requests of it."""

import numpy as np

from benchmarks.paper.replication import ALPHAS, ONLINE_ALPHAS, KnownRequests, Replication, experiment_of


def test_the_online_grid_is_part_of_the_papers() -> None:
    assert np.isin(ONLINE_ALPHAS, ALPHAS).all() and len(ONLINE_ALPHAS) == 9


def test_every_row_is_trained_on_or_held_out(replication: Replication) -> None:
    log = replication.log
    assert replication.training_rows + log.rows == replication.sizes.requests
    assert replication.arms.shape == (25, log.rows)
    assert log.units is not None and log.units.max() < replication.sizes.users
    assert experiment_of("linear", 3).learner.seed == 3


def test_known_requests_have_the_arms_of_the_log(replication: Replication) -> None:
    known, log = replication.known, replication.log
    kept = np.sort(np.random.default_rng(1).choice(log.rows, 50, replace=False))
    assert (known.arms == replication.arms[:, kept]).all()
    assert known.cohort.tolist() == np.asarray(log.cohort)[kept].tolist()
    assert known.values.shape == (50, 50, 2) and (known.values > 0.0).all()


def test_a_lift_is_that_of_the_means() -> None:
    values = np.array([[[0.1, 0.2], [0.2, 0.1]], [[0.3, 0.2], [0.2, 0.3]]])
    known = KnownRequests(np.array(["CORE", "REST"], dtype=object), np.array([[1, 0]]), values, production=0)
    assert np.allclose(known.lifts(known.arms[0]), [25.0, -25.0])
    assert np.allclose(known.lifts(known.arms[0], known.cohort == "CORE"), [100.0, -50.0])
