"""`python -m benchmarks.evaluation`: 25 α × objectives × cohorts, and a plain NumPy loop of the same outputs.

Both choose the arms of every α from the same predictions and estimate IPS, SNIPS, Reward@HIT, DM, DR and SN-DR with
their standard errors, and the paired lifts over production, over all rows and in three cohorts. The loop has no
intervals and checks nothing. Rounds take turns; CPU seconds are medians. All numbers of the loop are compared
with ours.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.command_line import report, run_command
from benchmarks.results_folder import RESULTS, append_result
from off_policy.evaluation_report import EvaluationReport
from off_policy.intervals import EvidenceRequirements
from off_policy.logged_bandit import LoggedBandit
from off_policy.numeric_arrays import FloatArray, IntArray
from off_policy.policy_evaluation import evaluate_policies
from off_policy.target_policies import TargetPolicy, alpha_policies, constant_policy

ALPHAS = np.linspace(0.0, 1.0, 25)
COHORTS = ("CASUAL", "CORE", "REST")
OBJECTIVES = ("repin", "p2p")
PRODUCTION_SHARE = 0.125
Numbers = dict[tuple[int, str | None, str, str], float]
"""(index of α, cohort or None, objective, what) → number."""


@dataclass(frozen=True, slots=True, eq=False)
class SweepInput:
    """A log of n rows whose production is arm 0, and predictions q float[n, arms, 2]."""

    log: LoggedBandit
    q: FloatArray

    @classmethod
    def drawn(cls, rows: int, arms: int, seed: int = 0) -> SweepInput:
        """Rewards in a tenth of the rows, predictions that know nothing of them."""
        rng = np.random.default_rng(seed)
        q: FloatArray = rng.random((rows, arms, len(OBJECTIVES)))
        others = (1.0 - PRODUCTION_SHARE) / (arms - 1)
        shares = np.r_[PRODUCTION_SHARE, np.full(arms - 1, others)]
        action = rng.choice(arms, size=rows, p=shares)
        reward = (rng.random((rows, len(OBJECTIVES))) < 0.1).astype(np.float64)
        cohort = np.array(COHORTS, dtype=object)[rng.integers(len(COHORTS), size=rows)]
        observed = np.ones(reward.shape, dtype=np.bool_)
        return cls(LoggedBandit(action, shares[action], reward, observed, OBJECTIVES, cohort), q)


def ours(given: SweepInput) -> tuple[list[TargetPolicy], EvaluationReport]:
    """The arms of every α and the report."""
    policies = alpha_policies(given.q, 1, ALPHAS)
    baseline = constant_policy("production", 0, given.log.rows)
    return policies, evaluate_policies(given.log, policies, baseline, given.q, EvidenceRequirements())


def plain_loop(given: SweepInput) -> tuple[list[IntArray], Numbers]:
    """The same arms and numbers, as one writes them down in NumPy: α by α, cohort by cohort."""
    log, q, each = given.log, given.q, np.arange(given.log.rows)
    arms = [((1.0 - alpha) * q[..., 0] + alpha * q[..., 1]).argmax(axis=1) for alpha in ALPHAS]
    scopes: dict[str | None, IntArray] = {None: each}
    scopes |= {name: np.flatnonzero(log.cohort_rows(name)) for name in COHORTS}
    logged, base, found = q[each, log.action], (log.action == 0) / log.propensity, Numbers()
    for index, chosen in enumerate(arms):
        weights, predicted = (chosen == log.action) / log.propensity, q[each, chosen]
        for cohort, rows in scopes.items():
            for place, objective in enumerate(OBJECTIVES):
                numbers = plain_numbers(
                    (weights[rows], base[rows]),
                    log.reward[rows, place],
                    logged[rows, place],
                    (predicted[rows, place], q[rows, 0, place]),
                )
                found |= {(index, cohort, objective, name): value for name, value in numbers.items()}
    return arms, found


def plain_numbers(
    weights: tuple[FloatArray, FloatArray],
    rewards: FloatArray,
    logged: FloatArray,
    predicted: tuple[FloatArray, FloatArray],
) -> dict[str, float]:
    """One α in one cohort on one objective; pairs are (policy, production)."""
    (w, b), (p, p0), n = weights, predicted, len(rewards)
    z, total, hit = w * rewards, w.sum(), w > 0
    snips = z.sum() / total
    ours, theirs = p + w * (rewards - logged), p0 + b * (rewards - logged)
    correction = (w * (rewards - logged)).sum() / total
    shrunk = p + w * (rewards - logged - correction) / (total / n)
    base = (b * rewards).sum() / b.sum()
    influence = w * (rewards - snips) / total - b * (rewards - base) / b.sum()
    return {
        "ips": z.mean(),
        "ips error": z.std(ddof=1) / n**0.5,
        "snips": snips,
        "snips error": np.sqrt((np.square(w) * np.square(rewards - snips)).sum()) / total,
        "reward_at_hit": rewards[hit].mean(),
        "dm": p.mean(),
        "dr": ours.mean(),
        "dr error": ours.std(ddof=1) / n**0.5,
        "sndr": p.mean() + correction,
        "sndr error": shrunk.std(ddof=1) / n**0.5,
        "lift": snips - base,
        "lift error": np.sqrt(np.square(influence).sum()),
        "dr lift": ours.mean() - theirs.mean(),
        "dr lift error": (ours - theirs).std(ddof=1) / n**0.5,
    }


def numbers_of(found: EvaluationReport) -> Numbers:
    """What the report says of everything that the loop computes."""
    numbers = Numbers()
    for index, policy in enumerate(found.policies):
        for cohort in (None, *COHORTS):
            for objective, result in policy.scope(cohort).items():
                of_cell = {name: each.value for name, each in result.estimates.items()}
                of_cell |= {f"{name} error": each.standard_error for name, each in result.estimates.items()}
                assert result.dr_lift is not None
                for name, lift in (("lift", result.lift), ("dr lift", result.dr_lift)):
                    of_cell |= {name: lift.value, f"{name} error": lift.standard_error}
                numbers |= {(index, cohort, objective, name): value for name, value in of_cell.items()}
    return numbers


def compared(rows: int, arms: int, rounds: int) -> dict[str, Any]:
    """CPU seconds of both, their ratio, and how far their results are apart."""
    given = SweepInput.drawn(rows, arms)
    seconds: dict[str, list[float]] = {"ours": [], "loop": []}
    for _ in range(rounds):
        began = time.process_time()
        policies, found = ours(given)
        between = time.process_time()
        plain_arms, plain = plain_loop(given)
        seconds["ours"].append(between - began)
        seconds["loop"].append(time.process_time() - between)
    mine = numbers_of(found)
    cpu = {name: statistics.median(each) for name, each in seconds.items()}
    return {
        "rows": rows,
        "arms": arms,
        "alphas": len(ALPHAS),
        "cpu_seconds": round(cpu["ours"], 3),
        "loop_cpu_seconds": round(cpu["loop"], 3),
        "ratio": round(cpu["ours"] / cpu["loop"], 3),
        "numbers": len(plain),
        "largest_difference": largest_difference(mine, plain),
        "arms_differ": sum(
            int(np.count_nonzero(policy.arms != chosen)) for policy, chosen in zip(policies, plain_arms, strict=True)
        ),
    }


def largest_difference(mine: Numbers, plain: Mapping[tuple[int, str | None, str, str], float]) -> float:
    """The largest absolute difference of any number of the loop."""
    return max(abs(mine[key] - value) for key, value in plain.items())


def main(
    rows: Annotated[int, typer.Option(min=1000, help="Number of explored decisions.")] = 100_000,
    arms: Annotated[int, typer.Option(min=2, help="Number of arms.")] = 50,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, of which the median is taken.")] = 3,
    results: Annotated[Path, typer.Option(help="Folder for the figures.")] = RESULTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Measure the CPU of an evaluation of 25 α beside a plain loop.

    Example: python -m benchmarks.evaluation --rows 100000 --json
    """
    result = compared(rows, arms, rounds)
    append_result(results, "evaluation", result)
    report(result, as_json)


if __name__ == "__main__":
    run_command(main)
