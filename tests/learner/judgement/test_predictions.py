"""One pass over a model's values: what it keeps is what all values at once would give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from event_schemas.experiment import Experiment
from learner.examples.learning_rows import LearningRows
from learner.judgement.candidate_policies import exploration_by_row
from learner.judgement.predictions import Predictions, predict
from off_policy import row_distributions
from off_policy.logged_bandit import EvaluationError
from off_policy.target_policies import TargetPolicy, alpha_policies, constant_policy

GRID = [0.0, 0.5, 1.0]


@pytest.fixture
def rows(world: Any) -> LearningRows:
    examples = world.examples(40)
    examples[7]["action"]["eligible"] = [1, 2, 9]
    found: LearningRows = world.rows(examples)
    return found


def predicted(rows: LearningRows, q: np.ndarray, experiment: Experiment) -> Predictions:
    stated = [
        constant_policy("production", 9, rows.count),
        TargetPolicy("logged", probabilities=exploration_by_row(rows, experiment)),
    ]

    def choose(values: np.ndarray, part: slice) -> list[TargetPolicy]:
        return alpha_policies(values, 0, GRID, rows.eligible(10, part))

    return predict(rows, q.__getitem__, choose, stated, experiment)


@pytest.mark.parametrize("cells", [1, 100, row_distributions.BLOCK_CELLS])
def test_the_blocks_give_what_all_values_give(
    rows: LearningRows, experiment: Experiment, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    q = np.random.default_rng(0).random((rows.count, 10, 2)).astype(np.float32)
    everything = q.astype(np.float64)
    monkeypatch.setattr(row_distributions, "BLOCK_CELLS", cells)
    found, each = predicted(rows, q, experiment), np.arange(rows.count)
    np.testing.assert_array_equal(found.logged, everything[each, rows.arms])
    mask = rows.eligible(10)
    assert mask is not None
    for policy, alpha in zip(found.chosen, GRID, strict=True):
        score = alpha * everything[:, :, 0] + (1 - alpha) * everything[:, :, 1]
        best = np.where(mask, score, -np.inf).argmax(axis=1)
        assert policy.policy.alpha == alpha
        np.testing.assert_array_equal(policy.policy.arms, best)
        np.testing.assert_array_equal(policy.expected, everything[each, best])
    production, logged = found.stated
    np.testing.assert_array_equal(production.expected, everything[:, 9])
    shares = np.asarray(exploration_by_row(rows, experiment))
    assert logged.expected is not None
    np.testing.assert_allclose(logged.expected, np.einsum("na,nao->no", shares, everything), rtol=1e-13)


def test_without_rows_the_policies_have_their_names(rows: LearningRows, experiment: Experiment) -> None:
    found = predicted(rows.take(np.zeros(rows.count, dtype=bool)), np.zeros((0, 10, 2)), experiment)
    assert [each.policy.alpha for each in found.chosen] == GRID
    assert found.logged.shape == (0, 2)


def test_values_that_cannot_be_used_are_refused(rows: LearningRows, experiment: Experiment) -> None:
    with pytest.raises(EvaluationError, match="not finite"):
        predicted(rows, np.full((rows.count, 10, 2), np.nan), experiment)
    with pytest.raises(EvaluationError, match="predicted values has shape"):
        predicted(rows, np.zeros((rows.count, 9, 2)), experiment)
