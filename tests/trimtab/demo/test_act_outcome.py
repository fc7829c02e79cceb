"""The results of an experiment, as the report words them."""

from tests.demo_samples import LEARN_REPORT, sample_evaluation, sample_result
from trimtab.demo.act_outcome import EvaluationView, LearnOutcome, ServedTraffic


def test_a_verdict_is_worded_with_its_reasons_once_each() -> None:
    codes = ["insufficient_evidence", "insufficient_evidence", "drift"]
    outcome = LearnOutcome.of({**LEARN_REPORT, "verdict": "inconclusive", "reason_codes": codes})
    assert outcome.verdict_sentence == "inconclusive (insufficient evidence, drift)"


def test_traffic_without_a_policy_has_no_mean_weights() -> None:
    report = {"decisions": 5, "slices": {"FALLBACK": 5}, "mean_weights": {"FALLBACK": {"repin": 91.6}}}
    traffic = ServedTraffic.of(0.1, {**report, "true_lift": {"repin": 0.0}})
    assert traffic.policy_decisions == 0 and traffic.mean_weights == {}


def test_a_view_shows_the_baseline_first() -> None:
    view = EvaluationView("title", sample_evaluation(("click",)), ("preference",))
    assert [policy.name for policy in view.chosen()] == ["production", "preference"]


def test_estimates_name_experiment_policy_and_objective() -> None:
    rows = sample_result().outcomes[0].estimates()
    assert {(row["experiment"], row["objective"]) for row in rows} == {("open-bandit-all", "click")}
    assert {row["policy"] for row in rows} == {"production", "preference"}
