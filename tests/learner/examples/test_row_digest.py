"""The digest changes with every value that training reads, and with nothing else."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from learner.examples.learning_rows import LearningRows
from learner.examples.row_digest import row_digest, rows_by_day
from tests.learner_samples import World


def with_outcomes(rows: LearningRows, **changes: Any) -> LearningRows:
    return replace(rows, outcomes=replace(rows.outcomes, **changes))


@pytest.fixture
def rows(world: World) -> LearningRows:
    return world.rows(world.examples(20))


def test_the_same_rows_have_the_same_digest(rows: LearningRows, world: World) -> None:
    assert row_digest(rows) == row_digest(world.rows(world.examples(20)))
    assert row_digest(rows) == row_digest(rows.take(np.arange(20)))


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.take(np.arange(19)),
        lambda rows: rows.take(np.arange(20)[::-1]),
        lambda rows: replace(rows, arms=(rows.arms + 1) % 9),
        lambda rows: with_outcomes(rows, rewards=rows.outcomes.rewards + 1e-6),
        lambda rows: with_outcomes(rows, observed=~rows.outcomes.observed),
    ],
)
def test_other_rows_or_values_have_another(rows: LearningRows, change: Callable[[Any], LearningRows]) -> None:
    assert row_digest(change(rows)) != row_digest(rows)


def test_rows_are_counted_by_utc_day(rows: LearningRows) -> None:
    day = 86_400_000
    times = np.array([0, day - 1, day, *([3 * day] * 17)], dtype=np.int64)
    assert rows_by_day(replace(rows, event_times=times)) == {"1970-01-01": 2, "1970-01-02": 1, "1970-01-04": 17}
