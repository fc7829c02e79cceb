"""The tables of an online experiment, on 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from learner.experiment_look import ExperimentLook
from learner.online_arms import OnlineArms, OnlineComparison
from off_policy.arm_comparison import ArmDesign
from off_policy.arm_guardrails import GuardrailState
from off_policy.arm_results import ArmComparison
from off_policy.sequential_reading import SequentialRule, read_arms
from tests.off_policy.arm_worlds import compared, draw_log
from tests.policy_store.experiment_samples import plan
from trimtab.experiment_tables import (
    LEFT_OUT_WORDS,
    arm_parts,
    guardrail_lines,
    left_out_in_words,
    look_parts,
)
from trimtab.tables import show

START, DAY = 1_764_000_000_000, 86_400_000
LOG = draw_log(900, "user", 0.5, np.random.default_rng(5))
COMPARISON = compared(LOG, "request", "session")
QUESTION = OnlineArms("exp-7", ArmDesign({"control": 1.0, "more": 1.0}, "control"), START, START + DAY)
RULE = SequentialRule(("session",), margin=0.02)
READINGS = read_arms(COMPARISON, RULE)
FOUND = OnlineComparison(
    QUESTION, COMPARISON, {"no_user": 1_234, "unobserved:request": 5}, (START, START + 5), {"CORE": COMPARISON}
)
LOOK = ExperimentLook(plan(START, id="exp-7"), RULE, FOUND, READINGS)


def parts_of(comparison: ArmComparison) -> Iterator[Any]:
    return arm_parts(comparison, read_arms(comparison, RULE))


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    found = capsys.readouterr().out.splitlines()
    assert max(map(len, found)) <= 80, found
    return [" ".join(line.split()) for line in found]


def test_a_comparison_says_what_was_compared_and_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    show(*look_parts(LOOK))
    text = " ".join(lines(capsys))
    assert "experiment exp-7, requests from 2025-11-24" in text
    assert "left out: 1,234 without a user, 5 without request" in text
    assert "arm mean difference lift one look any look" in text
    assert "lifts by cohort of the first request" in text
    assert f"CORE request more {COMPARISON.arms['more'].users:,} " in text
    assert "guardrail session in more is undecided" in text
    assert "more is undecided at this look: no objective is superior; session: a loss of more than" in text


def test_an_arm_has_a_row_for_each_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    show(*parts_of(COMPARISON))
    found = lines(capsys)
    arm = COMPARISON.arms["more"]
    assert f"more 50.0% {arm.users:,} {arm.rows:,} {arm.requests:,.0f}" in found
    at = found.index("session per session (signal), compared with control")
    outcome = arm.outcomes["session"]
    assert outcome.interval is not None
    control, more = found[at + 2 : at + 4]
    assert control == f"control {COMPARISON.arms['control'].outcomes['session'].mean:.4g}"
    one_look, any_look = outcome.lift_interval, READINGS["more"].outcomes["session"].interval
    assert one_look is not None and any_look is not None
    assert more == (
        f"more {outcome.mean:.4g} {outcome.delta:+.3g} {outcome.lift:+.1%}"
        f" [{one_look.lower:+.1%}, {one_look.upper:+.1%}] [{any_look.lower:+.1%}, {any_look.upper:+.1%}]"
    )


def test_a_missing_interval_comes_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    show(*parts_of(compared(LOG.take(LOG.user < 40), "request")))
    text = " ".join(lines(capsys))
    assert " none " in text
    assert "no interval for more: the arm: fewer than 30 users" in text
    show(*parts_of(compared(LOG.take(LOG.user < 600), "request")))
    assert "no interval at any look for more: the arm: fewer than" in " ".join(lines(capsys))


def test_an_undefined_mean_is_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    show(*parts_of(compared(LOG.take(LOG.arm == 0), "request")))
    assert "more undefined undefined undefined none none" in lines(capsys)


@pytest.mark.parametrize(
    ("p", "said"), [(None, "too few"), (0.3, "fit the shares (p = 0.3)"), (1e-9, "do not fit the shares (p = 1e-09)")]
)
def test_the_split_of_users_is_judged(capsys: pytest.CaptureFixture[str], p: float | None, said: str) -> None:
    show(*parts_of(replace(COMPARISON, sample_ratio_p=p)))
    assert said in " ".join(lines(capsys))


def test_every_reason_has_words() -> None:
    assert left_out_in_words({}) == "nothing"
    said = left_out_in_words(dict.fromkeys(LEFT_OUT_WORDS, 2) | {"no_unit:visits": 1})
    assert said.count(",") == len(LEFT_OUT_WORDS)
    assert said.endswith("1 in no counting unit of visits")


def test_a_guardrail_has_a_sentence_for_each_arm(capsys: pytest.CaptureFixture[str]) -> None:
    states: dict[str, dict[str, str]] = {
        "visits": {"a1": GuardrailState.HELD, "a2": GuardrailState.HARMED},
        "days": {"a1": GuardrailState.UNDECIDED},
    }
    show(*guardrail_lines(states, 0.01))
    assert lines(capsys) == [
        "guardrail visits in a1 holds: a loss of more than 1.0% is ruled out",
        "guardrail visits in a2 is harmed",
        "guardrail days in a1 is undecided: a loss of more than 1.0% is not ruled out",
    ]
