"""A family of policies on one log: against the truth, by cohort, with masks, refusing what does not fit."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from off_policy.estimates import RefusalCode
from off_policy.intervals import EvidenceRequirements
from off_policy.logged_bandit import EvaluationError, LoggedBandit
from off_policy.policy_evaluation import (
    BlockwiseEvaluation,
    PredictedPolicy,
    evaluate_policies,
    evaluate_predicted,
)
from off_policy.target_policies import TargetPolicy, alpha_policies, constant_policy, uniform_policy
from tests.off_policy.bandit_worlds import ARMS, CONTEXTS, PRODUCTION, lively_world
from tests.off_policy.dense_evaluation import Cell, cells, dense_cell
from tests.off_policy.drawn_worlds import DrawnWorld, drawn_world

REQUIREMENTS = EvidenceRequirements(min_matched_rows=100, min_positives=30)
ALL = {"ips", "snips", "clipped_ips", "reward_at_hit", "dm", "dr", "sndr", "switch_dr", "dros"}


def test_values_and_lifts_lie_near_the_truth() -> None:
    world = lively_world()
    log, context = world.draw(30_000, np.random.default_rng(1))
    q = world.model(context, error=0.3)
    policies = alpha_policies(q, 0, [0.0, 0.5, 1.0])
    report = evaluate_policies(log, policies, constant_policy("production", PRODUCTION, log.rows), q, REQUIREMENTS)
    best = world.click[:, :, 0].argmax(axis=1)
    truth = world.value_of_arms(best, 0)
    production = world.value_of_arms(np.full(CONTEXTS, PRODUCTION), 0)
    result = report.policies[2].objectives["objective0"]
    assert set(result.estimates) == ALL
    for name in ("ips", "snips", "dr", "sndr"):
        estimate = result.estimates[name]
        assert estimate.gateable
        assert abs(estimate.value - truth) < 4 * estimate.standard_error
    for lift in (result.lift, result.dr_lift):
        assert lift is not None
        assert abs(lift.value - (truth - production)) < 4 * lift.standard_error
    assert report.baseline.objectives["objective0"].lift.interval is not None
    assert report.baseline.objectives["objective0"].lift.value == 0.0
    assert report.baseline.agreement == 1.0


def test_the_uniform_policy_on_a_uniform_log_is_the_mean_reward() -> None:
    rng = np.random.default_rng(2)
    rewards = (rng.random((5000, 1)) < 0.1).astype(float)
    log = LoggedBandit(
        rng.integers(7, size=5000), np.full(5000, 1 / 7), rewards, np.ones((5000, 1), dtype=bool), ("click",)
    )
    uniform = uniform_policy("uniform", 5000, 7)
    estimates = evaluate_policies(log, [uniform], uniform, None, REQUIREMENTS).policies[0].objectives["click"].estimates
    for name in ("ips", "snips", "clipped_ips", "reward_at_hit"):
        assert estimates[name].value == pytest.approx(rewards.mean(), abs=1e-15)
    assert estimates["ips"].ess == pytest.approx(5000)
    assert "dr" not in estimates


def test_cohorts_have_a_level_of_their_own() -> None:
    world = lively_world()
    log, _ = world.draw(6000, np.random.default_rng(3))
    log = replace(log, cohort=np.where(np.arange(6000) % 2, "odd", "even").astype(object))
    arm = constant_policy("arm", (PRODUCTION + 1) % ARMS, log.rows)
    base = constant_policy("production", PRODUCTION, log.rows)
    plain = evaluate_policies(log, [arm], base, None, REQUIREMENTS)
    stricter = replace(REQUIREMENTS, cohort_level=0.999)
    [found] = evaluate_policies(log, [arm], base, None, stricter).policies
    assert found.objectives == plain.policies[0].objectives
    for name, objectives in found.cohorts.items():
        lift, before = objectives["objective0"].lift, plain.policies[0].cohorts[name]["objective0"].lift
        assert lift.interval is not None and before.interval is not None
        assert (lift.interval.level, before.interval.level) == (0.999, 0.95)
        assert lift.interval.upper > before.interval.upper
    own = evaluate_policies(log, [base], base, None, stricter).policies[0].cohorts["odd"]["objective0"].lift.interval
    assert own is not None and own.level == 0.999


def test_deterministic_and_one_hot_policies_agree() -> None:
    world = lively_world()
    log, context = world.draw(3000, np.random.default_rng(3))
    q = world.model(context)
    best = world.best(1, context)
    assert best.arms is not None
    twin = TargetPolicy("twin", probabilities=np.eye(ARMS)[best.arms])
    baseline = constant_policy("production", PRODUCTION, log.rows)
    one, other = evaluate_policies(log, [best, twin], baseline, q, REQUIREMENTS).policies
    for name in ("ips", "snips", "dm", "dr"):
        a, b = (report.objectives["objective1"].estimates[name] for report in (one, other))
        assert a.value == pytest.approx(b.value, rel=1e-12)


def test_cohorts_are_evaluated_on_their_rows_only() -> None:
    world = lively_world(objectives=1)
    log, context = world.draw(4000, np.random.default_rng(4))
    names = np.array(["CORE", "REST", "REST", None], dtype=object)[context]
    with_cohorts = LoggedBandit(log.action, log.propensity, log.reward, log.observed, log.objectives, names)
    q = world.model(context)
    best, baseline = world.best(0, context), constant_policy("production", PRODUCTION, log.rows)
    report = evaluate_policies(with_cohorts, [best], baseline, q, REQUIREMENTS)
    assert set(report.policies[0].cohorts) == {"CORE", "REST"}
    core = report.policies[0].cohorts["CORE"]["objective0"].estimates["snips"]
    rows = context == 0
    assert core.n == rows.sum()
    hits = rows & (log.action == world.click[0, :, 0].argmax())
    assert core.value == pytest.approx(log.reward[hits, 0].mean())


def test_unobserved_rows_are_left_out_and_never_zero() -> None:
    world = lively_world()
    log, context = world.draw(4000, np.random.default_rng(5))
    observed = np.ones((4000, 2), dtype=bool)
    observed[:2000, 1] = False
    reward = log.reward.copy()
    reward[:2000, 1] = np.nan
    masked = LoggedBandit(log.action, log.propensity, reward, observed, log.objectives)
    tail = LoggedBandit(log.action[2000:], log.propensity[2000:], log.reward[2000:], observed[2000:], log.objectives)
    q = world.model(context)

    def value(part: LoggedBandit, start: int, objective: str) -> float:
        policy = world.best(0, context[start:])
        baseline = constant_policy("production", PRODUCTION, part.rows)
        report = evaluate_policies(part, [policy], baseline, q[start:], REQUIREMENTS)
        return report.policies[0].objectives[objective].estimates["dr"].value

    assert value(masked, 0, "objective1") == pytest.approx(value(tail, 2000, "objective1"), rel=1e-12)
    assert value(masked, 0, "objective0") == pytest.approx(value(log, 0, "objective0"), rel=1e-12)


def test_an_empty_log_gives_a_report_without_answers() -> None:
    log = LoggedBandit(np.empty(0, dtype=int), np.empty(0), np.empty((0, 1)), np.empty((0, 1), dtype=bool), ("click",))
    nobody = constant_policy("production", 0, 0)
    report = evaluate_policies(log, [nobody], nobody, np.empty((0, 3, 1)), REQUIREMENTS)
    assert report.rows == 0
    assert not any(e.gateable for e in report.policies[0].objectives["click"].estimates.values())
    assert report.as_dict()["policies"][0]["objectives"]["click"]["estimates"]["dm"]["value"] is None


@pytest.mark.parametrize(
    ("q", "part"),
    [
        (np.zeros((9, ARMS, 2)), "q has shape"),
        (np.zeros((10, ARMS, 1)), "q has shape"),
        (np.zeros((10, ARMS)), "axes"),
        (np.zeros((10, 1, 2)), "has only 1 arms"),
        (np.full((10, ARMS, 2), np.nan), "not finite"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(q: np.ndarray, part: str) -> None:
    log, _ = lively_world().draw(10, np.random.default_rng(6))
    baseline = constant_policy("production", PRODUCTION, 10)
    with pytest.raises(EvaluationError, match=part):
        evaluate_policies(log, [baseline], baseline, q, REQUIREMENTS)


def test_a_policy_of_other_rows_is_refused() -> None:
    log, _ = lively_world().draw(10, np.random.default_rng(6))
    with pytest.raises(EvaluationError, match="rows"):
        evaluate_policies(log, [], constant_policy("production", PRODUCTION, 9), None, REQUIREMENTS)


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_rewards_too_large_to_square_give_no_interval_and_no_broken_json() -> None:
    rows = 400
    rewards = np.where(np.arange(rows)[:, None] % 3 == 0, 1e200, 0.0)
    log = LoggedBandit(np.arange(rows) % 2, np.full(rows, 0.5), rewards, np.ones((rows, 1), dtype=bool), ("spend",))
    policy, baseline = constant_policy("one", 1, rows), constant_policy("zero", 0, rows)
    report = evaluate_policies(log, [policy], baseline, None, REQUIREMENTS)
    result = report.policies[0].objectives["spend"]
    for refusal in (result.estimates["ips"].refusal, result.estimates["snips"].refusal, result.lift.refusal):
        assert refusal is not None
        assert refusal.code is RefusalCode.UNDEFINED
    assert not result.lift.gateable
    json.dumps(report.as_dict(), allow_nan=False)


def test_an_empty_log_gives_nothing_to_decide_on() -> None:
    nothing = np.zeros((0, 1))
    log = LoggedBandit(np.zeros(0, dtype=int), np.zeros(0), nothing, nothing.astype(bool), ("click",))
    report = evaluate_policies(
        log, [constant_policy("a", 0, 0)], constant_policy("production", 1, 0), None, REQUIREMENTS
    )
    assert not report.policies[0].objectives["click"].lift.gateable
    json.dumps(report.as_dict(), allow_nan=False)


def test_values_by_row_give_the_report_of_all_values() -> None:
    world = lively_world()
    log, context = world.draw(3000, np.random.default_rng(8))
    q = world.model(context, error=0.2)
    policies = [*alpha_policies(q, 0, [0.0, 1.0]), uniform_policy("uniform", log.rows, ARMS)]
    baseline = constant_policy("production", PRODUCTION, log.rows)
    whole = evaluate_policies(log, policies, baseline, q, REQUIREMENTS)
    parts = [slice(start, start + 700) for start in range(0, log.rows, 700)]
    predicted = [
        PredictedPolicy(policy, np.concatenate([policy.expected(q[part], part) for part in parts]))
        for policy in (baseline, *policies)
    ]
    logged = q[np.arange(log.rows), log.action]
    assert evaluate_predicted(log, predicted[1:], predicted[0], logged, REQUIREMENTS) == whole


def test_predictions_by_row_that_do_not_fit_are_refused() -> None:
    log, _ = lively_world().draw(10, np.random.default_rng(6))
    values, baseline = np.zeros((10, 2)), constant_policy("production", PRODUCTION, 10)
    for logged, expected, part in (
        (None, values, "not for both"),
        (values, None, "not for both"),
        (values[:9], values, "q of the logged arms has shape"),
        (values, values[:, :1], "expected q has shape"),
        (values, np.full((10, 2), np.inf), "not finite"),
    ):
        with pytest.raises(EvaluationError, match=part):
            evaluate_predicted(log, [], PredictedPolicy(baseline, expected), logged, REQUIREMENTS)


def assert_close(found: Cell, expected: Cell, case: object) -> None:
    """The same numbers, to 1e-9 of their size or 1e-12; the same reasons and counts."""
    assert found.keys() == expected.keys(), case
    for name in found:
        ours, theirs = found[name].as_dict(), expected[name].as_dict()
        for key, value in theirs.items():
            for field, number in value.items() if isinstance(value, dict) else [(key, value)]:
                other = ours[key][field] if isinstance(value, dict) else ours[key]
                close = pytest.approx(number, rel=1e-9, abs=1e-12) if isinstance(number, float) else number
                if field != "reason":  # it shows rounded numbers
                    assert other == close, (case, name, key, field)


@pytest.mark.parametrize("rows", [1, 40, 1500])
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_sums_over_the_rows_with_a_weight_give_what_all_rows_give(seed: int, rows: int) -> None:
    world, requirements = drawn_world(seed, rows), EvidenceRequirements(min_matched_rows=20, min_positives=2)
    report = evaluate_policies(world.log, world.policies, world.baseline, world.q, requirements)
    policies = [world.baseline, *world.policies]
    for policy, found in zip(policies, (report.baseline, *report.policies), strict=True):
        for place, cell in cells(report, found):
            dense = dense_cell(world.log, (policy, world.baseline), world.q, place, requirements)
            assert_close(cell, dense, (policy.name, place))


def blockwise(world: DrawnWorld, sizes: list[int]) -> BlockwiseEvaluation:
    """The world's evaluation after blocks of these sizes."""
    evaluation, start = BlockwiseEvaluation(world.log), 0
    for size in sizes:
        rows = slice(start, start + size)
        q, base, *others = None if world.q is None else world.q[rows], world.baseline, *world.policies
        policies = [
            PredictedPolicy(policy, None if q is None else policy.expected(q))
            for policy in (restricted(each, rows) for each in (base, *others))
        ]
        logged = None if q is None else q[np.arange(size), world.log.action[rows]]
        evaluation.add(policies[1:], policies[0], logged, size)
        start += size
    return evaluation


def restricted(policy: TargetPolicy, rows: slice) -> TargetPolicy:
    if policy.arms is not None:
        return TargetPolicy(policy.name, arms=policy.arms[rows], alpha=policy.alpha)
    return TargetPolicy(policy.name, probabilities=np.asarray(policy.probabilities)[rows], alpha=policy.alpha)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_a_log_block_by_block_gives_the_report_of_the_whole(seed: int) -> None:
    world = drawn_world(seed, 2500)
    whole = evaluate_policies(world.log, world.policies, world.baseline, world.q, REQUIREMENTS)
    parts = blockwise(world, [1, 999, 0, 1500]).concluded(REQUIREMENTS)
    for found, expected in zip((parts.baseline, *parts.policies), (whole.baseline, *whole.policies), strict=True):
        assert (found.name, found.alpha) == (expected.name, expected.alpha)
        assert found.agreement == pytest.approx(expected.agreement, rel=1e-12)
        assert found.most_common_share == pytest.approx(expected.most_common_share, rel=1e-12)
        for (place, cell), (_, other) in zip(cells(parts, found), cells(whole, expected), strict=True):
            assert_close(cell, other, (found.name, place))


def test_a_log_of_which_rows_are_missing_is_not_reported_on() -> None:
    with pytest.raises(EvaluationError, match="2400 rows of 2500"):
        blockwise(drawn_world(1, 2500), [2400]).concluded(REQUIREMENTS)


def test_every_block_has_the_policies_of_the_first_with_their_predictions() -> None:
    log, context = lively_world().draw(20, np.random.default_rng(6))
    q, baseline = lively_world().model(context)[:10], constant_policy("production", PRODUCTION, 10)
    predicted = PredictedPolicy(baseline, baseline.expected(q))
    logged = q[np.arange(10), log.action[:10]]
    for policies, values, other, part in (
        ([], logged, predicted, "0 policies for a block of a log whose first block has 1"),
        ([predicted, predicted], logged, predicted, "2 policies for a block"),
        ([predicted], None, PredictedPolicy(baseline), "not for both"),
    ):
        evaluation = BlockwiseEvaluation(log)
        evaluation.add([predicted], predicted, logged, 10)
        with pytest.raises(EvaluationError, match=part):
            evaluation.add(policies, other, values, 10)
