"""A verdict says whether a look was due, what changed since the last one, and which budget it spends."""

from dataclasses import replace

from event_schemas.units import DAY_MS
from learner.judgement.gate import GateEvidence, GateVerdict, Reason, Verdict
from learner.judgement.gate_budget import GateBudget, Look, PastLook
from learner.judgement.look_reasons import judged_lifts, not_due, with_look_reasons
from off_policy.estimates import Interval
from tests.learner.judgement.test_gate import lift, refused

SETTINGS = {"margin": 0.01, "error_budget": 0.05}
LAST = PastLook(4, 0.002, 20 * DAY_MS, "pass", {"repin": [0.12, 0.05, 0.19]}, "v4")
BUDGET = GateBudget(SETTINGS, spent=0.03, first_look=DAY_MS, last=LAST)
EVIDENCE = GateEvidence({"repin": lift(-0.03, 0.05)}, guardrail_lifts={"visits": refused()})
NOT_SHOWN = GateVerdict(Verdict.INCONCLUSIVE, (Reason("not_shown_harmless", "repin: …"),))


def test_lifts_over_something_else_are_not_compared() -> None:
    budget = replace(BUDGET, last=replace(LAST, over="v1"))
    verdict = with_look_reasons(NOT_SHOWN, budget, Look(5, 0.004), EVIDENCE)
    assert verdict.reasons[-1].sentence.endswith("; lifts were over v1, and are over the baseline")


def test_a_run_without_a_look_says_when_the_next_is_due_and_that_the_last_verdict_stands() -> None:
    verdict = not_due(BUDGET, 15 * DAY_MS)
    assert (verdict.verdict, verdict.looked) == (Verdict.INCONCLUSIVE, False)
    [reason] = verdict.reasons
    assert reason.code == "look_not_due"
    assert "begins at 1970-01-16" in reason.sentence and "begins at 1970-01-21" in reason.sentence
    assert reason.sentence.endswith("look 4 of v4 gave pass, which stands")
    assert "an earlier checkpoint" in not_due(replace(BUDGET, last=replace(LAST, version=None)), 0).reasons[0].sentence


def test_a_flip_names_what_changed() -> None:
    verdict = with_look_reasons(NOT_SHOWN, BUDGET, Look(5, 0.004), EVIDENCE)
    assert [reason.code for reason in verdict.reasons] == ["not_shown_harmless", "changed_since_last_look"]
    sentence = verdict.reasons[1].sentence
    assert sentence.startswith("look 4 of v4 gave pass; since then the policy was trained again")
    assert "from 0.002 to 0.004" in sentence
    assert sentence.endswith("repin from +12.0% [+5.0%, +19.0%] to +1.0% [-3.0%, +5.0%]")


def test_the_same_verdict_and_a_run_without_a_look_have_no_flip() -> None:
    same = with_look_reasons(GateVerdict(Verdict.PASS, (Reason("harmless", "x"),)), BUDGET, Look(5, 0.004), EVIDENCE)
    assert [reason.code for reason in same.reasons] == ["harmless"]
    for verdict, budget in ((replace(NOT_SHOWN, looked=False), BUDGET), (NOT_SHOWN, GateBudget(SETTINGS))):
        assert with_look_reasons(verdict, budget, Look(5, 0.004), EVIDENCE).reasons == NOT_SHOWN.reasons


def test_a_new_budget_is_declared_in_every_verdict() -> None:
    budget = BUDGET.under(SETTINGS | {"margin": 0.05})
    for verdict in (not_due(budget, 0), with_look_reasons(NOT_SHOWN, budget, Look(5, 0.004), EVIDENCE)):
        [reason] = [each for each in verdict.reasons if each.code == "new_budget"]
        assert reason.sentence.startswith(
            "budget 2 of the gate, because its settings changed: margin 0.01 → 0.05 (looser)"
        )
        assert "looks before it spent 0.03" in reason.sentence


def test_lifts_without_an_interval_are_left_out() -> None:
    assert judged_lifts(EVIDENCE) == {"repin": [0.010000000000000002, -0.03, 0.05]}
    both = replace(EVIDENCE, guardrail_lifts={"visits": replace(lift(0, 0), relative_interval=Interval(1, 2, 0.9, ""))})
    assert judged_lifts(both)["visits"] == [0.0, 1, 2]
