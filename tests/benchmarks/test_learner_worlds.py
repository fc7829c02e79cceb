"""The log of a study of learners: explored rows, and later requests with exact values."""

import numpy as np
import pytest

from benchmarks.learner_worlds import DAYS, START, LearnerLog, learner_log
from event_schemas.units import DAY_MS


@pytest.fixture(scope="module")
def log() -> LearnerLog:
    return learner_log(1, 1_400, 60)


def test_rows_are_of_14_days_and_tested_requests_of_the_next(log: LearnerLog) -> None:
    assert 1_200 < log.training.count < 1_600
    assert log.training.event_times.max() < START + DAYS * DAY_MS <= log.tested.event_times.min()
    assert log.values.shape == (60, 50, 2) and ((log.values > 0) & (log.values < 1)).all()
    assert set(log.training.frame["action_slice"]) == {"EXPLORE"}


def test_values_belong_to_the_requests_whose_rows_are_tested(log: LearnerLog) -> None:
    """They are the same if every request of the day is tested, and higher for users who were seen to save."""
    everyone = learner_log(1, 1_400, 10_000)
    assert everyone.tested.count > log.tested.count
    at = np.searchsorted(everyone.tested.event_times, log.tested.event_times)
    np.testing.assert_allclose(everyone.values[at], log.values)
    likely = everyone.values[np.arange(everyone.tested.count), everyone.tested.arms, 0]
    saved = everyone.tested.rewards[:, 0] > 0
    assert likely[saved].mean() > 1.3 * likely[~saved].mean()


def test_regret_is_0_for_the_truth_and_1_for_production(log: LearnerLog) -> None:
    production = np.zeros(log.values.shape, dtype=np.float32)
    production[:, log.experiment.action_space.production_arm] = 1.0
    for alpha in (0.1, 0.7):
        assert log.regret(log.values.astype(np.float32), alpha) < 1e-4
        assert log.regret(production, alpha) == 1.0
