"""The policies that need no learner: means by arm, and by arm and category."""

import numpy as np
import pytest

from benchmarks.learner_tables import PRIOR_ROWS, arm_means, best_arm_values, table_values
from benchmarks.learner_worlds import LearnerLog, learner_log
from feature_contract.model_input import CONTEXT_IDS


@pytest.fixture(scope="module")
def log() -> LearnerLog:
    return learner_log(1, 1_400, 60)


def test_the_means_of_arms_are_weighted_by_their_propensities(log: LearnerLog) -> None:
    values, rows = best_arm_values(log), log.training
    own = rows.arms == 3
    weights = 1 / rows.propensities[own]
    expected = (rows.rewards[own, 0] * weights).sum() / weights.sum()
    assert values.shape == (60, 50, 2) and values[7, 3, 0] == pytest.approx(expected, rel=1e-5)
    assert (values == values[:1]).all()


def test_a_cell_lies_between_what_is_expected_and_its_own_mean(log: LearnerLog) -> None:
    values, rows = table_values(log), log.training
    cell = log.tested.inputs[CONTEXT_IDS][0]
    own = rows.take((rows.inputs[CONTEXT_IDS] == cell).all(axis=1))
    expected = arm_means(rows, 50) + own.mean_rewards() - rows.mean_rewards()
    found = own.rewards[own.arms == 5, 0]
    wanted = (found.sum() + PRIOR_ROWS * expected[5, 0]) / (len(found) + PRIOR_ROWS)
    assert values[0, 5, 0] == pytest.approx(wanted, rel=1e-4)
    assert len(np.unique(values[:, 5, 0])) == len(np.unique(log.tested.inputs[CONTEXT_IDS]))
