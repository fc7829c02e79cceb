"""One screen for an evaluation: 37 lines of 100 columns whatever was evaluated, with the log's verdict first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from learner.examples.heavy_units import HeavyUnit
from learner.judgement.gate import Reason
from learner.judgement.log_soundness import LogSoundness
from learner.judgement.serving_comparison import ServingComparison
from learner.policy_comparison import Answer
from off_policy.intervals import EvidenceRequirements
from off_policy.logged_bandit import LoggedBandit
from off_policy.policy_evaluation import evaluate_policies
from off_policy.target_policies import alpha_policies, constant_policy
from trimtab.evaluation_screen import FULL, HEIGHT, WIDTH, screen_lines

ARMS, ROWS, START = 50, 4000, 1_714_564_800_000
ALPHAS = [step / 24 for step in range(25)]
LONG = "the log of the last day lacks decisions that the producers of three nodes tallied " * 6


@pytest.fixture(scope="module")
def answer() -> Answer:
    """Of 25 α with 50 arms and two objectives, of which more reward one the better, and of a sound log."""
    rng = np.random.default_rng(0)
    arms, strength = rng.integers(ARMS, size=ROWS), np.arange(ARMS) / ARMS
    rates = np.stack([0.2 + 0.6 * strength[arms], 0.8 - 0.6 * strength[arms]], axis=1)
    reward = (rng.random(rates.shape) < rates).astype(np.float64)
    log = LoggedBandit(arms, np.full(ROWS, 1 / ARMS), reward, np.ones(reward.shape, dtype=np.bool_), ("repin", "p2p"))
    q = np.tile(np.stack([strength**0.5, 1.0 - strength], axis=1), (ROWS, 1, 1))
    first = replace(alpha_policies(q, 0, [0.5])[0], name="preference", alpha=None)
    family = [first, *alpha_policies(q, 0, ALPHAS)]
    baseline = constant_policy("production", ARMS - 1, ROWS)
    report = evaluate_policies(log, family, baseline, None, EvidenceRequirements(min_positives=5))
    return Answer(
        LogSoundness(ROWS, 0.4, "chi_square", "as declared"), report, START, START + 86_400_000, "20240501T1200-ab"
    )


def test_the_default_experiment_fits_one_screen(answer: Answer) -> None:
    lines = screen_lines(answer)
    assert len(lines) <= HEIGHT and all(len(line) <= WIDTH for line in lines)
    assert lines[0] == "log completeness unverified"
    assert "4,000 explored decisions, 2024-05-01 12:00:00Z to 2024-05-02 12:00:00Z" in lines
    assert "checkpoint 20240501T1200-ab" in lines
    assert lines[-1] == FULL
    policy = answer.report.policies[0]
    [row] = [line for line in lines if line.startswith("repin ")]
    lift = policy.objectives["repin"].judged_lift
    value = lift.baseline_value + lift.value
    assert row.split()[1:4] == [f"{lift.baseline_value:.6g}", f"{value:.6g}", f"{lift.relative:+.1%}"]
    of_alpha = lines[lines.index(next(line for line in lines if line.startswith("lifts by α"))) + 2 : -3]
    shown = [line[2:].split()[0] for line in of_alpha]
    assert (shown[0], shown[-1]) == ("0", "1"), "both ends are shown"
    assert len(shown) == 13 and any(line.startswith("lifts by α (13 of 25)") for line in lines)
    frontier = {f"{point.alpha:.4g}": point for point in answer.report.frontier()}
    for line in of_alpha:
        point = frontier[line[2:].split()[0]]
        assert (line[0] != " ") == point.on_front
        assert f"{point.lifts['repin'].relative:+.1%}" in line


def test_a_linear_fit_that_is_ahead_is_named(answer: Answer) -> None:
    rival = {"wins": True, "sentence": "a linear fit beats this checkpoint on training-side validation"}
    assert rival["sentence"] in screen_lines(replace(answer, linear_rival=rival))
    assert rival["sentence"] not in screen_lines(replace(answer, linear_rival=rival | {"wins": False}))


def test_whatever_is_told_it_fits_one_screen(answer: Answer) -> None:
    reasons = tuple(Reason(f"rates_{number}", LONG) for number in range(8))
    heavy = (HeavyUnit("u" * 300, 90, 100), HeavyUnit("v", 5, 100))
    log = replace(answer.log, faults=reasons, heavy=heavy)
    lifts = answer.report.policies[0].objectives["repin"].lift
    serving = ServingComparison("v1", LONG, {f"objective {number} of many": lifts for number in range(9)})
    names = tuple(f"visits per session of {number}" * 3 for number in range(9))
    worst = replace(answer, log=log, serving=serving, withheld=10**9, judged_online=names, checkpoint="c" * 80)
    worst = replace(worst, linear_rival={"wins": True, "sentence": LONG})
    lines = screen_lines(worst)
    assert len(lines) <= HEIGHT and all(len(line) <= WIDTH for line in lines)
    assert lines[0] == "log unsound" and "  and 5 more reasons" in lines
    assert any(line.endswith(" and 1 more") for line in lines)


def test_without_alphas_there_is_no_frontier(answer: Answer) -> None:
    report = replace(answer.report, policies=answer.report.policies[:1])
    lines = screen_lines(replace(answer, report=report, checkpoint=None))
    assert not any("α" in line for line in lines)
    assert len(lines) < 15
