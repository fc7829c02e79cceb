"""The best arm by values, as it is served and as it is evaluated."""

from __future__ import annotations

import numpy as np

from off_policy.target_policies import alpha_policies, preference_policy
from policy_store.records.objective_weights import ObjectiveWeights
from policy_store.records.preference_record import PreferenceRecord, PreferenceTarget
from serving_agent.decide.scoring import best_arm
from tests.serving_samples import serving_experiment


def test_best_arm_weighs_objectives() -> None:
    q = np.array([[0.875, 0.125], [0.5, 0.5], [0.125, 0.75]], dtype=np.float32)
    assert best_arm(q, (1.0, 0.0), ()) == 0
    assert best_arm(q, (0.0, 1.0), ()) == 2
    assert best_arm(q, (0.5, 0.5), ()) == 0


def test_ties_go_to_the_lowest_arm_among_the_eligible() -> None:
    q = np.full((5, 1), 0.25, dtype=np.float32)
    assert best_arm(q, (1.0,), ()) == 0
    assert best_arm(q, (1.0,), (4, 2, 3)) == 2


def test_an_ineligible_arm_is_never_best() -> None:
    q = np.array([[0.1], [0.9], [0.2]], dtype=np.float32)
    assert best_arm(q, (1.0,), (0, 2)) == 2


def test_judges_near_ties_exactly_as_the_evaluation_does() -> None:
    """Arms equal except for rounding: a matrix product would choose others than the sum objective by objective."""
    source = np.random.default_rng(7)
    weights, product_differs = (0.1, 0.7, 0.2), 0
    steps = source.integers(0, 20, (3000, 10, 2))
    gained = 0.25 + (7 * steps[..., :1] + 2 * steps[..., 1:]) / 1024
    q = np.concatenate([gained, 0.75 - steps / 1024], axis=2).astype(np.float32)
    allowed = source.random((3000, 10)) < 0.8
    allowed[:, 7] = True
    judged = preference_policy("p", q.astype(np.float64), weights, allowed).arms
    assert judged is not None
    for row, arm in enumerate(judged):
        assert best_arm(q[row], weights, tuple(np.flatnonzero(allowed[row]).tolist())) == arm
        product = np.where(allowed[row], q[row].astype(np.float64) @ np.array(weights), -np.inf)
        product_differs += int(product.argmax() != arm)
    assert product_differs > 0, "the rows no longer tell the two apart"


def test_alpha_is_weighed_as_the_evaluation_weighs_it() -> None:
    experiment = serving_experiment()
    q = np.random.default_rng(8).random((200, experiment.action_space.arms, 2)).astype(np.float32)
    target = experiment.objective_names.index(experiment.preference.alpha_objective or "")
    for judged in alpha_policies(q.astype(np.float64), target, np.linspace(0, 1, 25).tolist()):
        record = PreferenceRecord(
            experiment="homefeed", revision=1, by="ada", default=PreferenceTarget(alpha=judged.alpha)
        )
        weights = ObjectiveWeights.in_force(experiment, record).of_cohort(None)
        assert weights is not None
        np.testing.assert_array_equal([best_arm(row, weights, ()) for row in q], judged.arms)
