"""What rows declare, against a plain matrix of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from event_schemas.experiment import Experiment
from event_schemas.slices import exploration_distribution
from learner.judgement.declared_distributions import DeclaredDistributions, shared_features
from off_policy import row_distributions
from tests.learner_samples import check_log

ROWS = 60


def mixed_examples(world: Any) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Rows with and without their own probabilities and eligible arms, and float[rows, arms] of what they declare."""
    rng, space = np.random.default_rng(0), world.experiment.action_space
    examples, declared = world.examples(ROWS), np.empty((ROWS, space.arms))
    for row, example in enumerate(examples):
        eligible = [] if row % 4 else sorted({int(rng.integers(5)), 9})
        declared[row] = exploration_distribution(space, eligible, world.experiment.production_share)
        if row % 3 == 0:
            own = rng.dirichlet(np.ones(space.arms))
            example["propensity"]["probabilities"] = own.tolist()
            declared[row] = own
        arm = int(rng.choice(space.arms, p=declared[row]))
        example["action"] |= {"eligible": eligible, "arm": arm, "weights": space.weights[arm].tolist()}
        example["propensity"]["propensity"] = float(declared[row, arm])
    return examples, declared


@pytest.mark.parametrize("cells", [1, 25, row_distributions.BLOCK_CELLS])
def test_shares_and_counts_are_those_of_the_matrix(
    world: Any, experiment: Experiment, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples, matrix = mixed_examples(world)
    rows, counted = world.rows(examples), np.arange(ROWS) % 5 > 0
    whole = check_log(rows, experiment)
    monkeypatch.setattr(row_distributions, "BLOCK_CELLS", cells)
    declared = DeclaredDistributions.of(rows, experiment)
    assert declared.logged.tolist() == [row % 3 == 0 for row in range(ROWS)]
    np.testing.assert_array_equal(declared.shares_of(rows.arms), matrix[np.arange(ROWS), rows.arms])
    np.testing.assert_allclose(declared.expected_counts(counted), matrix[counted].sum(axis=0), rtol=1e-12)
    found = check_log(rows, experiment)
    assert (found.method, found.detail) == (whole.method, whole.detail) != ("declared", whole.detail)
    assert found.p_value == pytest.approx(whole.p_value, rel=1e-9)


@pytest.mark.parametrize(
    "odd",
    [[1.0], [0.1] * 11, [0.2] * 10, [1.1, -0.1] + [0.0] * 8, [float("nan")] + [0.0] * 9],
    ids=["short", "long", "too much", "negative", "nan"],
)
def test_what_is_no_distribution_does_not_count(world: Any, experiment: Experiment, odd: list[float]) -> None:
    rows = world.rows(world.examples(4))
    given = pl.Series("propensity_probabilities", [[], None, odd, [0.1] * 10], dtype=pl.List(pl.Float64))
    declared = DeclaredDistributions.of(replace(rows, frame=rows.frame.with_columns(given)), experiment)
    assert declared.logged.tolist() == [False, False, False, True]
    assert declared.shares_of(np.zeros(4, dtype=int)).tolist() == pytest.approx([0.875 / 9] * 3 + [0.1])


def alike_arms(sizes: list[int]) -> dict[str, Any]:
    """Sections of an experiment with a catalogue of ten arms with these features; the last one is production."""
    arms = [{"name": f"arm{arm}", "features": [size]} for arm, size in enumerate(sizes)]
    catalogue = {"production": "arm9", "features": ["size"], "arms": arms}
    return {"weights": [], "catalogue": catalogue, "preference": {"alpha_objective": "p2p"}}


def test_arms_that_are_alike_share_what_the_row_says_of_them(make_experiment: Any, make_world: Any) -> None:
    experiment = make_experiment(**alike_arms([0, 1, 0, 1, 2, 3, 4, 5, 6, 0]))
    world = make_world(experiment, truth=lambda users, features: np.full((len(users), 2), 0.3))
    examples, matrix = mixed_examples(world)
    rows = world.rows(examples)
    found = shared_features(rows, experiment)
    assert found is not None
    sizes = experiment.action_space.features[:, 0]
    for row, arm in enumerate(rows.arms):
        assert found.logged[row] == pytest.approx(matrix[row][sizes == sizes[arm]].sum(), rel=1e-9)
    examples[1]["propensity"]["propensity"] *= 0.9
    assert shared_features(world.rows(examples), experiment) is None, "drawn from a distribution that is not known"


def test_arms_of_which_no_two_are_alike_share_nothing(
    make_experiment: Any, make_world: Any, world: Any, experiment: Experiment
) -> None:
    assert shared_features(world.rows(world.examples(20)), experiment) is None, "a grid"
    different = make_experiment(**alike_arms(list(range(10))))
    other = make_world(different, truth=lambda users, features: np.full((len(users), 2), 0.3))
    assert shared_features(other.rows(other.examples(20)), different) is None
