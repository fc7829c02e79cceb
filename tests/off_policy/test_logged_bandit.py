"""The log is checked once, and each complaint names the field and the row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from off_policy.logged_bandit import EvaluationError, LoggedBandit, require_shape


def log(**changes: Any) -> LoggedBandit:
    fields: dict[str, Any] = {
        "action": [0, 1, 2],
        "propensity": [0.5, 0.25, 0.25],
        "reward": [[1.0], [0.0], [np.nan]],
        "observed": [[True], [True], [False]],
        "objectives": ("click",),
        "cohort": ("CORE", None, "REST"),
    }
    return LoggedBandit(**(fields | changes))


def test_a_sound_log_is_taken_as_it_is() -> None:
    sound = log()
    assert sound.rows == 3
    assert sound.action.dtype == np.int64
    assert sound.cohort_names == ("CORE", "REST")
    assert sound.cohort_rows("CORE").tolist() == [True, False, False]


def test_a_log_without_cohorts_knows_none() -> None:
    assert log(cohort=None).cohort_names == ()
    assert not log(cohort=None).cohort_rows("CORE").any()


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"propensity": [0.5, 0.0, 0.25]}, "propensity outside (0, 1] in row 1: 0.0"),
        ({"propensity": [0.5, 0.2, 1.5]}, "propensity outside (0, 1] in row 2"),
        ({"propensity": [np.nan, 0.2, 1.0]}, "propensity outside (0, 1] in row 0"),
        ({"propensity": [0.5, 1e-200, 1.0]}, "propensity below 1e-100 in row 1: 1e-200"),
        ({"propensity": [0.5, 0.5]}, "log.propensity has shape (2,)"),
        ({"action": [0, -1, 2]}, "negative arm in row 1"),
        ({"action": [0.0, 1.0, 2.0]}, "log.action has type float64"),
        ({"reward": [[np.inf], [0.0], [0.0]]}, "reward that is not finite in row 0"),
        ({"reward": [1.0, 0.0, 0.0]}, "log.reward has shape (3,)"),
        ({"observed": [[True], [True]]}, "log.observed has shape (2, 1)"),
        ({"objectives": ("click", "click")}, "log.reward has shape"),
        ({"objectives": (), "reward": np.empty((3, 0)), "observed": np.empty((3, 0))}, "objectives are ()"),
        ({"cohort": ("CORE",)}, "log.cohort has 1 entries for 3 rows"),
    ],
)
def test_a_broken_log_is_refused(changes: dict[str, Any], part: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        log(**changes)
    assert part in caught.value.what
    assert caught.value.fix


def test_shapes_are_compared_exactly() -> None:
    require_shape("q", np.zeros((2, 3)), (2, 3))
    with pytest.raises(EvaluationError, match="q has shape"):
        require_shape("q", np.zeros((2, 3)), (3, 2))
