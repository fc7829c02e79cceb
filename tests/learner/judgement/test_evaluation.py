"""Selected on one half, judged on the other."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from event_schemas.experiment import Experiment
from event_schemas.experiment_sections import GuardrailSpec, ObjectiveSpec
from feature_contract import FeatureContract
from learner.checkpoints.checkpoint_building import evaluation_summary
from learner.examples.learning_rows import LearningRows
from learner.examples.training_window import LearningWindow, build_window
from learner.judgement.evaluation import (
    Candidate,
    Evaluation,
    evaluate_window,
    judging_half,
    propose_alpha,
)
from learner.judgement.gate import Verdict, judge
from learner.judgement.gate_budget import Look
from learner.judgement.log_soundness import LogVerdict
from learner.judgement.serving_comparison import ServingPolicy
from off_policy import row_distributions
from off_policy.target_policies import TargetPolicy
from policy_store.records.objective_weights import ObjectiveWeights

FIRST = Look(1, 0.03)


@pytest.fixture
def window(experiment: Experiment, world: Any) -> LearningWindow:
    frame = world.frame(world.examples(6000))
    return build_window(frame, experiment, FeatureContract.from_experiment(experiment))


def evaluated(experiment: Experiment, window: LearningWindow, rising: bool = True) -> Evaluation:
    """Under values that rise (or fall) with both weights, so that the best (or worst) arm is chosen everywhere."""
    score = experiment.action_space.features.sum(axis=1)
    by_arm = 0.2 + 0.3 * (score if rising else 2 - score)
    q = np.broadcast_to(by_arm[None, :, None], (window.holdout.count, 10, 2))
    return evaluate_window(window, Candidate(q.__getitem__, ObjectiveWeights.in_force(experiment), FIRST), experiment)


def test_users_stay_in_their_half(world: Any) -> None:
    rows = world.rows(world.examples(2000))
    half = judging_half(rows)
    assert 0.4 < half.mean() < 0.6
    halves: dict[str, set[bool]] = {}
    for user, judging in zip(rows.frame["request_user_id"], half, strict=True):
        halves.setdefault(user, set()).add(bool(judging))
    assert all(len(sides) == 1 for sides in halves.values())


@pytest.mark.parametrize("nobody", [None, "", "null", "None", "0", "undefined", "NaN"])
def test_requests_without_a_user_are_split_by_their_id(world: Any, nobody: str | None) -> None:
    examples = world.examples(200)
    for example in examples:
        example["request"]["user_id"] = nobody
    assert 50 < judging_half(world.rows(examples)).sum() < 150


def test_a_better_policy_shows_its_lift(experiment: Experiment, window: LearningWindow) -> None:
    result = evaluated(experiment, window)
    for lift in result.evidence.lifts.values():
        assert lift.estimator == "dr"
        assert lift.relative > 0.1
    assert set(result.evidence.cohort_lifts) == {"CORE", "REST"}
    assert result.judgement is not None
    assert result.selection.rows + result.judgement.rows == window.holdout.count
    assert result.proposal is not None


def test_a_refresh_is_judged_by_its_lifts_over_what_serves(experiment: Experiment, window: LearningWindow) -> None:
    """The one that serves plays production everywhere, so both comparisons give the same lifts."""
    score = experiment.action_space.features.sum(axis=1)
    q = np.broadcast_to((0.2 + 0.3 * score)[None, :, None], (window.holdout.count, 10, 2))
    preference, production = ObjectiveWeights.in_force(experiment), experiment.action_space.production_arm

    def serving(rows: LearningRows) -> ServingPolicy:
        policy = TargetPolicy("v1", arms=np.full(rows.count, production))
        return ServingPolicy("v1", policy, "v1 is serving", same_preference=True)

    result = evaluate_window(window, Candidate(q.__getitem__, preference, FIRST, serving), experiment)
    evidence, plain = result.evidence, evaluated(experiment, window).evidence
    assert (evidence.over, plain.over) == ("v1", "the baseline")
    assert evidence.lifts == result.serving.lifts and set(evidence.production_lifts) == {"repin", "p2p"}
    for name, lift in evidence.lifts.items():
        assert lift.relative == pytest.approx(plain.lifts[name].relative, rel=1e-9)
        assert lift.relative == pytest.approx(evidence.production_lifts[name].relative, rel=1e-9)
    assert evidence.cohort_lifts == result.serving.cohort_lifts
    assert evidence.production_cohort_lifts == plain.cohort_lifts and set(plain.cohort_lifts) == {"CORE", "REST"}
    assert not plain.production_cohort_lifts
    verdict = judge(evidence, experiment.gate)
    assert evaluation_summary(result, verdict)["baseline"] == "v1"


@pytest.mark.parametrize("falls", [False, True])
def test_what_is_only_watched_is_judged_beside_it(experiment: Experiment, world: Any, falls: bool) -> None:
    """A signal is shown; a guardrail that falls where the weights rise stops the checkpoint that raises them."""
    signal = ObjectiveSpec(name="taps", kinds=("tap",), attribution=60_000, role="signal")
    watching = experiment.model_copy(
        update={
            "objectives": (*experiment.objectives, signal),
            "guardrails": (
                GuardrailSpec(name="visits", kinds=("visit",)),
                GuardrailSpec(name="days", kinds=("visit",), per="user-day"),
            ),
        }
    )
    rng, features = np.random.default_rng(1), experiment.action_space.features
    examples = world.examples(6000)
    for example in examples:
        rise = float(features[example["action"]["arm"]].sum())
        for name, rate in (("taps", 0.5), ("visits", 0.7 - 0.25 * rise if falls else 0.3 + 0.2 * rise)):
            reward = float(rng.random() < rate)
            example["outcome"]["objectives"].append(
                {"objective": name, "count": reward, "reward": reward, "observed": True}
            )
    window = build_window(world.frame(examples), watching, FeatureContract.from_experiment(watching))
    result = evaluated(watching, window)
    evidence = result.evidence
    assert set(evidence.lifts) == {"repin", "p2p"}
    assert set(evidence.guardrail_lifts) == {"visits"}
    assert result.watched is not None
    assert result.watched.objectives == ("taps", "visits")
    assert (evidence.guardrail_lifts["visits"].relative < 0.0) == falls
    verdict = judge(evidence, experiment.gate)
    reasons = [reason.code for reason in verdict.reasons]
    assert ("guardrail_harm" in reasons) == falls
    summary = json.loads(json.dumps(evaluation_summary(result, verdict), allow_nan=False))
    assert summary["guardrail_lifts"] == {"visits": evidence.guardrail_lifts["visits"].as_dict()}
    assert json.loads(json.dumps(result.as_dict(), allow_nan=False))["watched"]["objectives"] == ["taps", "visits"]
    assert (result.judged_online, evidence.judged_online, result.as_dict()["judged_online"]) == (
        ("days",),
        ("days",),
        ["days"],
    )


def test_a_worse_policy_shows_its_harm_and_nothing_is_proposed(experiment: Experiment, window: LearningWindow) -> None:
    result = evaluated(experiment, window, rising=False)
    assert all(lift.relative < 0 for lift in result.evidence.lifts.values())
    assert result.proposal is None


def test_the_report_survives_json(experiment: Experiment, window: LearningWindow) -> None:
    content = json.loads(json.dumps(evaluated(experiment, window).as_dict(), allow_nan=False))
    assert [point["alpha"] for point in content["frontier"]] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert {policy["name"] for policy in content["judgement"]["policies"]} >= {"preference", "uniform"}
    assert content["soundness"]["p_value"] > 0
    assert set(content["calibration"]) == {"repin", "p2p"}


def test_an_empty_holdout_is_no_evidence(experiment: Experiment, window: LearningWindow) -> None:
    nothing = window.holdout.take(np.zeros(window.holdout.count, dtype=bool))
    result = evaluated(experiment, replace(window, holdout=nothing))
    assert result.judgement is not None and result.judgement.rows == 0
    assert judge(result.evidence, experiment.gate).verdict is Verdict.INCONCLUSIVE
    json.dumps(result.as_dict(), allow_nan=False)


def test_weights_that_nobody_chose_neither_pass_nor_harm(experiment: Experiment, window: LearningWindow) -> None:
    q = np.zeros((window.holdout.count, 10, 2))
    q[:, 0] = 1.0
    result = evaluate_window(window, Candidate(q.__getitem__, ObjectiveWeights(0, None), FIRST), experiment)
    verdict = judge(result.evidence, experiment.gate)
    assert (verdict.verdict, verdict.reasons[0].code) == (Verdict.INCONCLUSIVE, "no_preference")
    content = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert content["preference"]["default"] is None
    assert "equal_weights" in {policy["name"] for policy in content["judgement"]["policies"]}
    assert "preference" not in {policy["name"] for policy in content["judgement"]["policies"]}


def test_the_proposal_is_the_best_worst_objective(experiment: Experiment, window: LearningWindow) -> None:
    points = evaluated(experiment, window).selection.frontier("dr")
    lifts = points[0].lifts
    some = tuple(
        replace(
            points[0],
            alpha=alpha,
            proposable=alpha != 0.9,
            lifts={
                name: replace(lift, relative=value) for (name, lift), value in zip(lifts.items(), pair, strict=True)
            },
        )
        for alpha, pair in ((0.1, (0.5, 0.01)), (0.2, (0.2, 0.1)), (0.9, (0.9, 0.9)))
    )
    assert propose_alpha(some) == 0.2
    assert propose_alpha(()) is None


def test_the_report_does_not_depend_on_the_blocks(
    experiment: Experiment, window: LearningWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values are scored and rows are tested block by block; one row in each gives what one block of all rows gives."""
    holdout = window.holdout.take(np.arange(400))
    q = np.random.default_rng(0).random((holdout.count, 10, 2))

    def report() -> str:
        part = replace(window, holdout=holdout)
        candidate = Candidate(q.__getitem__, ObjectiveWeights.in_force(experiment), FIRST)
        return rounded(evaluate_window(part, candidate, experiment).as_dict())

    whole = report()
    monkeypatch.setattr(row_distributions, "BLOCK_CELLS", 1)
    assert report() == whole


def rounded(content: dict[str, Any]) -> str:
    """As JSON, with nine digits of each number."""
    return json.dumps(json.loads(json.dumps(content), parse_float=lambda number: f"{float(number):.9g}"))


def test_requests_that_must_not_get_production_judge_nothing(experiment: Experiment, world: Any) -> None:
    """They click always, and nothing there says what production earns: they must not count for either side."""
    examples = world.examples(6000)
    for example in examples[::2]:
        if example["action"]["arm"] != 9:
            example["action"]["eligible"] = list(range(9))
            example["propensity"]["propensity"] = 1 / 9
            for outcome in example["outcome"]["objectives"]:
                outcome |= {"reward": 1.0, "count": 1.0}
    allowing = [example for example in examples if not example["action"]["eligible"]]
    contract = FeatureContract.from_experiment(experiment)
    both = [
        evaluated(experiment, build_window(world.frame(each), experiment, contract)) for each in (examples, allowing)
    ]
    assert both[0].evidence.lifts == both[1].evidence.lifts
    assert both[0].soundness.rows > both[1].soundness.rows


def test_on_an_unsound_log_values_are_shown_and_nothing_bounds_them(
    experiment: Experiment, window: LearningWindow, world: Any
) -> None:
    sound = evaluated(experiment, window)
    assert sound.soundness.verdict is LogVerdict.COMPLETENESS_UNVERIFIED
    assert [each.code for each in judge(sound.evidence, experiment.gate).reasons] == ["completeness_unverified"]
    wrong = replace(window, holdout=replace(window.holdout, propensities=window.holdout.propensities * 2.0))
    unsound = evaluated(experiment, wrong)
    verdict = judge(unsound.evidence, experiment.gate)
    assert (verdict.verdict, verdict.reasons[0].code) == (Verdict.INCONCLUSIVE, "unsound_log")
    assert unsound.proposal is None
    content = json.loads(json.dumps(unsound.as_dict(), allow_nan=False))
    assert next(iter(content)) == "soundness" and content["soundness"]["verdict"] == "unsound"
    assert '"lower"' not in json.dumps(content)
    [preferred] = [each for each in content["judgement"]["policies"] if each["name"] == "preference"]
    assert preferred["objectives"]["repin"]["estimates"]["dr"]["value"] > 0.0
    summary = evaluation_summary(unsound, verdict)
    assert summary["log_verdict"] == "unsound" and '"lower"' not in json.dumps(summary)


def test_values_and_lifts_are_in_the_objectives_own_units(make_experiment: Any, make_world: Any) -> None:
    """Ratings of 0.5 to 5 at clip 5: every value equals the plain formula on the ratings themselves to 1e-9."""
    objectives = [
        {"name": "rating", "kinds": ["rating"], "attribution": "5m", "clip": 5},
        {"name": "p2p", "kinds": ["p2p"], "attribution": "5m"},
    ]
    experiment = make_experiment(objectives=objectives)
    world, rng = make_world(experiment), np.random.default_rng(8)
    examples = world.examples(6000)
    for example in examples:
        rating = float(rng.uniform(0.5, 5.0))
        example["outcome"]["objectives"][0] |= {"reward": rating, "count": rating}
    window = build_window(world.frame(examples), experiment, FeatureContract.from_experiment(experiment))
    q = rng.random((window.holdout.count, 10, 2))
    report = evaluate_window(window, Candidate(q.__getitem__, ObjectiveWeights.in_force(experiment), FIRST), experiment)
    places = np.flatnonzero(judging_half(window.holdout))
    rows = window.holdout.take(places)
    outcomes = rows.frame["outcome_objectives"].to_list()
    ratings = np.array([next(each["reward"] for each in row if each["objective"] == "rating") for row in outcomes])
    arms = np.argmax(q[places] @ np.array(ObjectiveWeights.in_force(experiment).default), axis=1)
    each, hit = np.arange(len(places)), arms == rows.arms
    weights = hit / rows.propensities
    plain = {
        "snips": (weights * ratings).sum() / weights.sum(),
        "reward_at_hit": ratings[hit].mean(),
        "dm": 5 * q[places][each, arms, 0].mean(),
        "dr": (5 * q[places][each, arms, 0] + weights * (ratings - 5 * q[places][each, rows.arms, 0])).mean(),
    }
    assert report.judgement is not None
    result = report.judgement.report_of("preference").objectives["rating"]
    for name, value in plain.items():
        assert result.estimates[name].value == pytest.approx(value, abs=1e-9), name
    assert result.dr_lift is not None
    base = report.judgement.baseline.objectives["rating"].estimates["dr"].value
    assert result.dr_lift.value == pytest.approx(plain["dr"] - base, abs=1e-9)
    assert result.estimates["snips"].interval is not None, "ratings are positive nearly always"
    assert 2.0 < report.calibration["rating"].bins[0].observed < 3.5
