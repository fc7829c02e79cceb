"""The gate: three verdicts, each with its reasons."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtri

from event_schemas.experiment_sections import GateSpec
from event_schemas.units import DAY_MS
from learner.judgement.gate import UNSOUND_P_VALUE, GateEvidence, Verdict, judge, stated_verdict
from learner.judgement.gate_budget import GateBudget
from off_policy.estimates import Interval, Refusal, RefusalCode
from off_policy.paired_lift import PairedLift

SPEC = GateSpec(margin=0.05, max_drift=0.25)


def lift(lower: float, upper: float) -> PairedLift:
    interval = Interval(lower, upper, 0.95, "student-t")
    return PairedLift(
        estimator="dr",
        value=0.01,
        standard_error=0.005,
        interval=interval,
        relative=(lower + upper) / 2,
        relative_standard_error=(upper - lower) / 4,
        relative_interval=interval,
        refusal=None,
        baseline_value=0.1,
        matched_rows=5000,
        baseline_matched_rows=5000,
        positives=500,
        baseline_positives=500,
        expected_positives=400.0,
    )


def refused() -> PairedLift:
    why = Refusal(RefusalCode.TOO_FEW_POSITIVES, "the policy: fewer than 30 positives (1)")
    return replace(lift(0, 0), interval=None, relative_interval=None, refusal=why)


def codes(evidence: GateEvidence) -> tuple[Verdict, list[str]]:
    verdict = judge(evidence, SPEC)
    return verdict.verdict, [reason.code for reason in verdict.reasons]


def test_harmless_on_every_objective_passes() -> None:
    evidence = GateEvidence({"repin": lift(0.01, 0.2), "p2p": lift(-0.04, 0.1)}, log_p_value=0.5, head_shift={"h": 0.1})
    assert codes(evidence) == (Verdict.PASS, ["harmless"])


def test_a_refresh_is_held_against_what_serves_and_must_not_harm_production() -> None:
    evidence = GateEvidence({"repin": lift(-0.01, 0.02)}, over="v1", production_lifts={"repin": lift(-0.2, 0.3)})
    assert codes(evidence) == (Verdict.PASS, ["harmless"])
    assert "every lift over v1 is above" in judge(evidence, SPEC).reasons[0].sentence
    worse = replace(evidence, lifts={"repin": lift(-0.06, 0.02)})
    assert codes(worse) == (Verdict.INCONCLUSIVE, ["not_shown_harmless"])
    assert "the lift over v1 is" in judge(worse, SPEC).reasons[0].sentence
    harmful = replace(evidence, production_lifts={"repin": lift(-0.2, -0.01)})
    assert codes(harmful) == (Verdict.REFUSE, ["harm"])
    assert "the lift over the baseline is" in judge(harmful, SPEC).reasons[0].sentence


def test_small_steps_of_refreshes_do_not_add_up_in_a_cohort() -> None:
    """Each is harmless beside what serves; the one that is worse than production for certain does not pass."""
    fine, worse = {"CORE": {"repin": lift(-0.03, 0.02)}}, {"CORE": {"repin": lift(-0.2, -0.01)}}
    refresh = GateEvidence(
        {"repin": lift(-0.01, 0.02)},
        cohort_lifts=fine,
        over="v1",
        production_lifts={"repin": lift(-0.2, 0.3)},
        production_cohort_lifts=fine,
    )
    assert codes(refresh) == (Verdict.PASS, ["harmless"])
    assert judge(refresh, SPEC).reasons[0].sentence.endswith("worse than the baseline, for everybody or in a cohort")
    verdict = judge(replace(refresh, production_cohort_lifts=worse), SPEC)
    assert (verdict.verdict, verdict.looked) == (Verdict.INCONCLUSIVE, True)
    [reason] = verdict.reasons
    assert reason.code == "cohort_harm"
    assert reason.sentence.startswith("cohort CORE, repin: the lift over the baseline is")
    verdict = judge(replace(refresh, cohort_lifts=worse), SPEC)
    assert verdict.reasons[0].sentence.startswith("cohort CORE, repin: the lift over v1 is")


def test_a_pass_names_what_it_leaves_to_online_experiments() -> None:
    evidence = GateEvidence({"repin": lift(0.01, 0.2)}, judged_online=("visits", "days"))
    [reason] = judge(evidence, SPEC).reasons
    assert reason.code == "harmless"
    assert reason.sentence.endswith("; left to online experiments: visits, days")
    assert "online" not in judge(replace(evidence, judged_online=()), SPEC).reasons[0].sentence


def test_shown_harm_is_refused_whatever_else_holds() -> None:
    evidence = GateEvidence({"repin": lift(0.1, 0.2), "p2p": lift(-0.2, -0.01)}, log_p_value=1e-9)
    verdict = judge(evidence, SPEC)
    assert verdict.verdict is Verdict.REFUSE
    assert [reason.code for reason in verdict.reasons] == ["harm"]
    assert "p2p" in verdict.reasons[0].sentence


def test_a_guardrail_must_be_shown_not_to_get_worse() -> None:
    better = {"repin": lift(0.01, 0.2)}
    for bounds, verdict in (
        ((-0.04, 0.1), (Verdict.PASS, ["harmless"])),
        ((-0.06, 0.1), (Verdict.INCONCLUSIVE, ["guardrail_not_shown_harmless"])),
        ((-0.2, -0.01), (Verdict.REFUSE, ["guardrail_harm"])),
    ):
        assert codes(GateEvidence(better, guardrail_lifts={"visits": lift(*bounds)})) == verdict
    unknown = GateEvidence(better, guardrail_lifts={"visits": refused()})
    assert codes(unknown) == (Verdict.INCONCLUSIVE, ["guardrail_insufficient_evidence"])
    passed = judge(GateEvidence(better, guardrail_lifts={"visits": lift(-0.04, 0.1)}), SPEC)
    assert "visits +3.0% [-4.0%, +10.0%]" in passed.reasons[0].sentence


def test_a_wide_interval_is_inconclusive() -> None:
    assert codes(GateEvidence({"o": lift(-0.06, 0.3)})) == (Verdict.INCONCLUSIVE, ["not_shown_harmless"])


def test_the_margin_itself_is_not_enough() -> None:
    assert codes(GateEvidence({"o": lift(-0.05, 0.3)}))[0] is Verdict.INCONCLUSIVE


def test_too_little_evidence_is_inconclusive_and_says_what_is_missing() -> None:
    verdict = judge(GateEvidence({"click": refused()}), SPEC)
    assert (verdict.verdict, verdict.reasons[0].code) == (Verdict.INCONCLUSIVE, "insufficient_evidence")
    assert "fewer than 30 positives" in verdict.reasons[0].sentence


def test_production_itself_needs_evidence_too() -> None:
    same = replace(lift(0, 0), matched_rows=10, baseline_matched_rows=10)
    assert codes(GateEvidence({"o": same})) == (Verdict.INCONCLUSIVE, ["insufficient_evidence"])
    assert codes(GateEvidence({"o": replace(lift(0, 0), expected_positives=3.0)}))[0] is Verdict.INCONCLUSIVE
    assert codes(GateEvidence({"o": lift(0, 0)})) == (Verdict.PASS, ["harmless"])


def test_what_the_judged_rows_earned_does_not_decide_whether_there_is_evidence() -> None:
    """A log with few positives by bad luck is judged like one with many by good luck: by its interval."""
    for positives in (0, 3, 5000):
        assert codes(GateEvidence({"o": replace(lift(0.1, 0.2), positives=positives)}))[0] is Verdict.PASS


def test_an_undefined_relative_lift_is_no_evidence() -> None:
    undefined = replace(lift(0, 0), relative=math.nan, relative_interval=None)
    assert codes(GateEvidence({"o": undefined})) == (Verdict.INCONCLUSIVE, ["insufficient_evidence"])


def test_an_interval_that_came_with_a_refusal_decides_nothing() -> None:
    doubtful = replace(refused(), relative_interval=Interval(-0.5, -0.1, 0.95, "x"))
    assert codes(GateEvidence({"o": doubtful}))[0] is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("bounds", [(math.nan, math.nan), (math.nan, 0.2), (0.1, math.nan), (-math.inf, math.inf)])
def test_bounds_that_are_no_numbers_neither_pass_nor_refuse(bounds: tuple[float, float]) -> None:
    assert codes(GateEvidence({"o": lift(*bounds)}))[0] is Verdict.INCONCLUSIVE


def test_nothing_judged_is_nothing_passed() -> None:
    assert codes(GateEvidence({})) == (Verdict.INCONCLUSIVE, ["insufficient_evidence"])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"log_p_value": UNSOUND_P_VALUE / 2}, "unsound_log"),
        ({"head_shift": {"repin": 0.26}}, "drift"),
        ({"head_shift": {"repin": math.nan}}, "drift"),
        ({"log_p_value": math.nan}, "unsound_log"),
        ({"log_faults": ("rows are missing",)}, "unsound_log"),
        ({"completeness_doubt": "there are no tallies"}, "completeness_unverified"),
        ({"preference_declared": False}, "no_preference"),
        ({"cohort_lifts": {"CORE": {"o": lift(-0.3, -0.1)}}}, "cohort_harm"),
    ],
)
def test_each_doubt_alone_prevents_a_pass(changes: dict[str, object], code: str) -> None:
    evidence = GateEvidence({"o": lift(0.1, 0.2)})
    assert codes(replace(evidence, **changes)) == (Verdict.INCONCLUSIVE, [code])  # type: ignore[arg-type]


def test_objectives_that_nobody_weighed_are_the_first_reason_and_not_missing_evidence() -> None:
    evidence = GateEvidence({}, log_p_value=UNSOUND_P_VALUE / 2, preference_declared=False)
    assert codes(evidence) == (Verdict.INCONCLUSIVE, ["no_preference", "unsound_log"])


def test_a_null_policy_passes_no_more_often_than_the_budget() -> None:
    """A policy exactly at -margin, judged every week for 90 days on fresh normal data."""
    rng = np.random.default_rng(3)
    looks, budget = [], GateBudget({"error_budget": 0.05})
    for end in range(0, 91, 7):
        look = budget.look_at((end - 7) * DAY_MS, end * DAY_MS)
        assert look is not None
        looks.append(look)
        budget = budget.after(look, end * DAY_MS, "inconclusive", {})
    reach = [float(ndtri(0.5 + look.level / 2)) for look in looks]
    passed = 0
    for _ in range(2000):
        draws = rng.normal(size=len(reach))
        passed += any(
            judge(GateEvidence({"o": lift(-0.05 + z - r, -0.05 + z + r)}), SPEC).verdict is Verdict.PASS
            for z, r in zip(draws, reach, strict=True)
        )
    assert 0.03 < passed / 2000 <= 0.06


def test_harm_counts_only_where_everything_can_be_judged() -> None:
    """Without that, a checkpoint would be tested for harm in every run, at no cost, until one is found by chance."""
    evidence = GateEvidence({"repin": lift(-0.2, -0.1), "click": refused()})
    verdict = judge(evidence, SPEC)
    assert (verdict.verdict, verdict.looked) == (Verdict.INCONCLUSIVE, False)
    assert [reason.code for reason in verdict.reasons] == ["insufficient_evidence"]


@pytest.mark.parametrize(
    ("changes", "looked"),
    [
        ({}, True),
        ({"lifts": {"o": lift(-0.5, 0.5)}}, True),
        ({"cohort_lifts": {"CORE": {"o": lift(-0.3, -0.1)}}}, True),
        ({"lifts": {"o": lift(-0.5, -0.1)}, "log_p_value": 1e-9}, True),
        ({"lifts": {"o": refused()}}, False),
        ({"guardrail_lifts": {"g": refused()}}, False),
        ({"log_p_value": 1e-9}, False),
        ({"head_shift": {"repin": 0.9}}, False),
        ({"preference_declared": False, "lifts": {}}, False),
    ],
)
def test_what_cannot_pass_whatever_was_earned_is_no_look(changes: dict[str, object], looked: bool) -> None:
    verdict = judge(replace(GateEvidence({"o": lift(0.1, 0.2)}), **changes), SPEC)  # type: ignore[arg-type]
    assert verdict.looked == looked


def test_a_verdict_is_read_back_from_a_manifest() -> None:
    for evidence in (GateEvidence({"o": lift(0.1, 0.2)}), GateEvidence({"o": lift(-0.2, -0.1)}), GateEvidence({})):
        verdict = judge(evidence, SPEC)
        assert stated_verdict(verdict.as_dict()).as_dict() == verdict.as_dict()


def test_the_verdict_is_plain_json() -> None:
    assert judge(GateEvidence({"o": lift(0.1, 0.2)}), SPEC).as_dict()["verdict"] == "pass"
