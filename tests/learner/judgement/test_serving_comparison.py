"""The lift over the checkpoint that is serving, per objective and cohort."""

import json
from dataclasses import replace

import numpy as np
import pytest

from learner.judgement.serving_comparison import ServingPolicy, compare_with_serving, with_watched
from off_policy.estimates import Refusal, RefusalCode
from off_policy.intervals import EvidenceRequirements
from off_policy.logged_bandit import LoggedBandit
from off_policy.policy_evaluation import PredictedPolicy
from off_policy.target_policies import TargetPolicy

REQUIREMENTS = EvidenceRequirements(min_matched_rows=50, min_positives=10)
N, ARMS = 6000, 4
RNG = np.random.default_rng(3)
ACTION = RNG.integers(ARMS, size=N)
CORE = RNG.random(N) < 0.5
REWARD = (RNG.random(N) < 0.2 + 0.1 * (ACTION == 1)).astype(float)
LOG = LoggedBandit(
    ACTION,
    np.full(N, 1 / ARMS),
    REWARD[:, None],
    np.ones((N, 1), dtype=bool),
    ("repin",),
    np.where(CORE, "CORE", "REST").astype(object),
)
Q = np.broadcast_to(np.array([0.2, 0.25, 0.2, 0.2])[None, :, None], (N, ARMS, 1))
Q_LOGGED = Q[np.arange(N), ACTION]
SERVING = np.where(CORE, 1, 2)
"""The candidate plays arm 1 everywhere, so both choose the same in CORE."""
NOTHING_SERVES = ServingPolicy(None, None, "production serves")


def predicted(arms: np.ndarray) -> PredictedPolicy:
    policy = TargetPolicy("any", arms=arms)
    return PredictedPolicy(policy, policy.expected(np.asarray(Q)))


def dr(arms: np.ndarray, rows: np.ndarray) -> float:
    """DR written out."""
    weight = np.where(arms == ACTION, ARMS, 0.0)
    terms = Q[np.arange(N), arms, 0] + weight * (REWARD - Q_LOGGED[:, 0])
    return float(terms[rows].mean())


def test_lifts_are_paired_by_dr_in_all_rows_and_in_cohorts() -> None:
    serving = ServingPolicy("v1", TargetPolicy("v1", arms=SERVING), "v1 is serving")
    ours = predicted(np.full(N, 1))
    found = compare_with_serving(LOG, ours, serving, predicted(SERVING), Q_LOGGED, REQUIREMENTS)
    lift, everywhere = found.lifts["repin"], np.ones(N, dtype=bool)
    assert lift.estimator == "dr"
    assert lift.value == pytest.approx(dr(np.full(N, 1), everywhere) - dr(SERVING, everywhere), rel=1e-9)
    assert lift.gateable
    rest = found.cohort_lifts["REST"]["repin"]
    assert rest.value == pytest.approx(dr(np.full(N, 1), ~CORE) - dr(SERVING, ~CORE), rel=1e-9)
    assert json.loads(json.dumps(found.as_dict()))["cohort_lifts"]["REST"]["repin"]["value"] == rest.value


def test_equal_choices_have_no_lift_also_in_one_cohort() -> None:
    serving = ServingPolicy("v1", TargetPolicy("v1", arms=SERVING), "v1 is serving")
    found = compare_with_serving(LOG, predicted(np.full(N, 1)), serving, predicted(SERVING), Q_LOGGED, REQUIREMENTS)
    core = found.cohort_lifts["CORE"]["repin"]
    assert (core.value, core.relative, core.standard_error, core.refusal) == (0.0, 0.0, 0.0, None)
    assert core.relative_interval is not None
    assert (core.relative_interval.lower, core.relative_interval.upper) == (0.0, 0.0)
    same = compare_with_serving(LOG, predicted(SERVING), serving, predicted(SERVING), Q_LOGGED, REQUIREMENTS)
    assert [lift.value for lift in same.lifts.values()] == [0.0]
    assert all(lift.gateable for lift in same.lifts.values())


def test_equal_distributions_have_no_lift() -> None:
    policy = TargetPolicy("v1", probabilities=np.full((N, ARMS), 1 / ARMS))
    again = TargetPolicy("mine", probabilities=np.full((N, ARMS), 1 / ARMS))
    serving = ServingPolicy("v1", policy, "v1 is serving")
    found = compare_with_serving(LOG, PredictedPolicy(again), serving, PredictedPolicy(policy), None, REQUIREMENTS)
    assert (found.lifts["repin"].value, found.lifts["repin"].estimator) == (0.0, "snips")


def test_without_a_model_lifts_are_by_snips() -> None:
    policy = TargetPolicy("v1", arms=SERVING)
    ours = PredictedPolicy(TargetPolicy("any", arms=np.full(N, 1)))
    found = compare_with_serving(
        LOG, ours, ServingPolicy("v1", policy, ""), PredictedPolicy(policy), None, REQUIREMENTS
    )
    weights = np.where(SERVING == ACTION, 1.0, 0.0)
    base = float((weights * REWARD).sum() / weights.sum())
    assert found.lifts["repin"].estimator == "snips"
    assert found.lifts["repin"].value == pytest.approx(REWARD[ACTION == 1].mean() - base, rel=1e-9)


def test_rows_that_it_was_trained_on_have_no_interval() -> None:
    refusal = Refusal(RefusalCode.TRAINED_ON_THESE_ROWS, "it was trained on them")
    serving = ServingPolicy("v1", TargetPolicy("v1", arms=SERVING), "v1 is serving", refusal)
    found = compare_with_serving(LOG, predicted(np.full(N, 1)), serving, predicted(SERVING), Q_LOGGED, REQUIREMENTS)
    for lift in (found.lifts["repin"], found.cohort_lifts["REST"]["repin"]):
        assert (lift.interval, lift.relative_interval, lift.refusal) == (None, None, refusal)
        assert not lift.gateable
        assert lift.value > 0.0


def test_nothing_to_compare_with_is_said_in_words() -> None:
    found = compare_with_serving(LOG, predicted(SERVING), NOTHING_SERVES, None, Q_LOGGED, REQUIREMENTS)
    assert found.as_dict() == {
        "version": None,
        "detail": "production serves",
        "lifts": {},
        "cohort_lifts": {},
        "watched_lifts": {},
        "same_preference": False,
    }
    assert with_watched(found, LOG, TargetPolicy("new", arms=SERVING), NOTHING_SERVES, REQUIREMENTS) is found
    assert not found.judges(())


def test_it_judges_a_refresh_if_all_its_lifts_have_intervals() -> None:
    serving = ServingPolicy("v1", TargetPolicy("v1", arms=SERVING), "v1 is serving", same_preference=True)
    ours = predicted(np.full(N, 1))
    found = compare_with_serving(LOG, ours, serving, predicted(SERVING), Q_LOGGED, REQUIREMENTS)
    assert found.judges(()) and not found.judges(("visits",)), "visits were not compared"
    visits = replace(LOG, reward=np.roll(LOG.reward, 1, axis=0), objectives=("visits",))
    watched = with_watched(found, visits, ours.policy, serving, REQUIREMENTS)
    assert watched.judges(("visits",)) and watched.watched_lifts["visits"].estimator == "snips"
    assert watched.as_dict()["watched_lifts"]["visits"]["gateable"]
    assert not replace(watched, same_preference=False).judges(("visits",))
    rare = replace(visits, reward=np.zeros((N, 1)))
    assert not with_watched(found, rare, ours.policy, serving, REQUIREMENTS).judges(("visits",))


def test_an_empty_log_is_no_evidence() -> None:
    nothing = np.empty(0, dtype=np.int64)
    log = LoggedBandit(nothing, np.empty(0), np.empty((0, 1)), np.empty((0, 1), dtype=bool), ("repin",))
    policy = TargetPolicy("v1", arms=nothing)
    each = PredictedPolicy(policy, np.empty((0, 1)))
    found = compare_with_serving(log, each, ServingPolicy("v1", policy, ""), each, np.empty((0, 1)), REQUIREMENTS)
    assert found.lifts["repin"].refusal is not None
    assert found.lifts["repin"].interval is None
