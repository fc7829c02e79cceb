"""Controls on a small log: groups of features are isolated, and a log with wrong propensities is stopped."""

from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.learner_worlds import LearnerLog, learner_log
from benchmarks.paper.controls import CONTEXT_WORLD, RIVALS, WRONG_COHORT, corruption, isolated, summary
from feature_contract import ModelInput


@pytest.fixture(scope="module")
def log() -> Iterator[LearnerLog]:
    yield learner_log(1, 1_400, 20)


def test_one_group_of_features_is_kept() -> None:
    inputs = ModelInput({"user_embedding": np.ones((2, 3)), "context_ids": np.ones((2, 1), dtype=np.int64)}, 2)
    found = isolated(inputs, ("context_",))
    assert found["user_embedding"].tolist() == [[0.0] * 3] * 2 and found["context_ids"].tolist() == [[1], [1]]
    assert found.rows == 2


def test_a_log_with_wrong_propensities_is_stopped_and_biased(log: LearnerLog) -> None:
    cohorts = set(log.training.frame["request_cohort"].to_list())
    assert WRONG_COHORT in cohorts and len(cohorts) > 1
    found = corruption(log)
    assert found["sound"]["verdict"] == "sound" and found["corrupted"]["verdict"] == "unsound"
    assert found["sound"]["production"] != found["corrupted"]["production"]


def test_errors_are_in_percent_of_the_truth() -> None:
    gains = dict.fromkeys(RIVALS, 1.0)
    regret = {"user": 0.5, "history": 0.6, "context": 0.25}
    logs = {
        "true": [0.2, 0.1],
        "sound": {"verdict": "sound", "production": [0.2, 0.1]},
        "corrupted": {"verdict": "unsound", "production": [0.3, 0.08]},
    }
    regrets = {"homefeed": regret, CONTEXT_WORLD.name: regret}
    run = {"alike": gains, "homefeed": gains, "regret": regrets, "corrupted": logs}
    found = summary([run, run])
    assert [each[0] for each in found["logs"]["corrupted"]["error"]] == [50.0, -20.0]
    assert found["logs"]["sound"]["stopped"] == 0 and found["logs"]["corrupted"]["stopped"] == 2
    assert found["regret"][CONTEXT_WORLD.name]["context - user"][0] == -0.25
