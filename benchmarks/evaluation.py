"""`python -m benchmarks.evaluation`: 25 α × objectives × cohorts, a plain NumPy loop of the same outputs, and obp.

All choose the arms of every α from the same predictions and estimate IPS, SNIPS, Reward@HIT, DM, DR and SN-DR with
their standard errors, and the paired lifts over production, over all rows and in three cohorts. The loop has no
intervals and checks nothing; Open Bandit Pipeline (`make bench-obp`) estimates the values alone, and its choice of arms
is not counted. Rounds take turns; CPU seconds are medians. All numbers of both are compared with ours. With `--users`
errors are computed by user, ours and the loop's. `--linear` measures ours on other numbers of rows too.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.bench_broker import tell
from benchmarks.command_line import report, run_command
from benchmarks.obp_run import PYTHON, run_obp
from benchmarks.results_folder import RESULTS, append_result
from benchmarks.study_run import commit
from off_policy.evaluation_report import EvaluationReport
from off_policy.intervals import EvidenceRequirements
from off_policy.logged_bandit import LoggedBandit
from off_policy.numeric_arrays import FloatArray, IntArray
from off_policy.policy_evaluation import evaluate_policies
from off_policy.target_policies import TargetPolicy, alpha_policies, constant_policy

ALPHAS = np.linspace(0.0, 1.0, 25)
COHORTS = ("CASUAL", "CORE", "REST")
OBJECTIVES = ("repin", "p2p")
PRODUCTION_SHARE, ROWS_OF_A_USER = 0.125, 20
Numbers = dict[tuple[int, str | None, str, str], float]
"""(index of α, cohort or None, objective, what) → number."""


@dataclass(frozen=True, slots=True, eq=False)
class SweepInput:
    """A log of n rows whose production is arm 0, and predictions q float[n, arms, 2]."""

    log: LoggedBandit
    q: FloatArray

    @classmethod
    def drawn(cls, rows: int, arms: int, *, by_user: bool = False, seed: int = 0) -> SweepInput:
        """Rewards in a tenth of the rows, predictions that know nothing of them; if `by_user`, of users with 20 rows
        each."""
        rng = np.random.default_rng(seed)
        q: FloatArray = rng.random((rows, arms, len(OBJECTIVES)))
        shares = arm_shares(arms)
        action = rng.choice(arms, size=rows, p=shares)
        reward = (rng.random((rows, len(OBJECTIVES))) < 0.1).astype(np.float64)
        cohort = np.array(COHORTS, dtype=object)[rng.integers(len(COHORTS), size=rows)]
        observed = np.ones(reward.shape, dtype=np.bool_)
        users = rng.integers(max(rows // ROWS_OF_A_USER, 1), size=rows) if by_user else None
        return cls(LoggedBandit(action, shares[action], reward, observed, OBJECTIVES, cohort, users), q)


def arm_shares(arms: int) -> FloatArray:
    """float[arms]: with what probability each arm is explored; arm 0 is production."""
    shares = np.full(arms, (1.0 - PRODUCTION_SHARE) / (arms - 1))
    shares[0] = PRODUCTION_SHARE
    return shares


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
            users = None if log.units is None else log.units[rows]
            for place, objective in enumerate(OBJECTIVES):
                numbers = plain_numbers(
                    (weights[rows], base[rows]),
                    log.reward[rows, place],
                    logged[rows, place],
                    (predicted[rows, place], q[rows, 0, place]),
                    users,
                )
                found |= {(index, cohort, objective, name): value for name, value in numbers.items()}
    return arms, found


def plain_numbers(
    weights: tuple[FloatArray, FloatArray],
    rewards: FloatArray,
    logged: FloatArray,
    predicted: tuple[FloatArray, FloatArray],
    users: IntArray | None = None,
) -> dict[str, float]:
    """One α in one cohort on one objective; pairs are (policy, production)."""
    (w, b), (p, p0), n = weights, predicted, len(rewards)
    z, total, hit = w * rewards, w.sum(), w > 0
    snips = z.sum() / total
    ours, theirs = p + w * (rewards - logged), p0 + b * (rewards - logged)
    correction = (w * (rewards - logged)).sum() / total
    shrunk = p + w * (rewards - logged - correction) / (total / n)
    base = (b * rewards).sum() / b.sum()

    def error(terms: FloatArray) -> float:
        """The square root of the sum of squares, over users if rows have them."""
        sums = terms if users is None else np.bincount(users, weights=terms)
        return float(np.sqrt(np.square(sums).sum()))

    def mean_error(terms: FloatArray) -> float:
        return error(terms - terms.mean()) / math.sqrt(n * (n - 1))

    return {
        "ips": z.mean(),
        "ips error": mean_error(z),
        "snips": snips,
        "snips error": error(w * (rewards - snips)) / total,
        "reward_at_hit": rewards[hit].mean(),
        "dm": p.mean(),
        "dr": ours.mean(),
        "dr error": mean_error(ours),
        "sndr": p.mean() + correction,
        "sndr error": mean_error(shrunk),
        "lift": snips - base,
        "lift error": error(w * (rewards - snips) / total - b * (rewards - base) / b.sum()),
        "dr lift": ours.mean() - theirs.mean(),
        "dr lift error": mean_error(ours - theirs),
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


def compared(rows: int, arms: int, rounds: int, *, by_user: bool = False, obp: Path | None = None) -> dict[str, Any]:
    """CPU seconds of ours and the loop, their ratio, and how far their results are apart; and of obp's Python."""
    given = SweepInput.drawn(rows, arms, by_user=by_user)
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
    figures = {
        "rows": rows,
        "arms": arms,
        "alphas": len(ALPHAS),
        "by": "user" if by_user else "row",
        "cpu_seconds": round(cpu["ours"], 3),
        "loop_cpu_seconds": round(cpu["loop"], 3),
        "ratio": round(cpu["ours"] / cpu["loop"], 3),
        "numbers": len(plain),
        "largest_difference": largest_difference(mine, plain),
        "arms_differ": sum(
            int(np.count_nonzero(policy.arms != chosen)) for policy, chosen in zip(policies, plain_arms, strict=True)
        ),
    }
    if obp is not None:
        theirs = run_obp(given.log, given.q, plain_arms, COHORTS, obp)
        figures |= obp_figures(theirs, mine, cpu["ours"])
    return figures


def obp_figures(theirs: Mapping[str, Any], mine: Numbers, cpu: float) -> dict[str, Any]:
    """Its CPU seconds, how many times ours they are, and the largest difference of its values."""
    scopes = (None, *COHORTS)
    values = {
        (index, scopes[scope], OBJECTIVES[place], name): value
        for index, of_policy in enumerate(theirs["values"])
        for scope, of_scope in enumerate(of_policy)
        for place, of_objective in enumerate(of_scope)
        for name, value in of_objective.items()
    }
    return {
        "obp_cpu_seconds": round(theirs["cpu_seconds"], 3),
        "obp_times": round(theirs["cpu_seconds"] / cpu, 1),
        "obp_numbers": len(values),
        "obp_largest_difference": largest_difference(mine, values),
        "obp_one_interval_cpu_seconds": round(theirs["interval_cpu_seconds"], 3),
    }


def linearity(rows: Sequence[int], arms: int) -> dict[str, float]:
    """CPU microseconds per row of ours, by number of rows."""
    found = {}
    for count in rows:
        given = SweepInput.drawn(count, arms)
        began = time.process_time()
        ours(given)
        found[str(count)] = round((time.process_time() - began) * 1e6 / count, 3)
        tell(f"{count} rows measured")
    return found


def largest_difference(mine: Numbers, plain: Mapping[tuple[int, str | None, str, str], float]) -> float:
    """The largest absolute difference of any number of the loop."""
    return max(abs(mine[key] - value) for key, value in plain.items())


def main(
    rows: Annotated[int, typer.Option(min=1000, help="Number of explored decisions.")] = 100_000,
    arms: Annotated[int, typer.Option(min=2, help="Number of arms.")] = 50,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, of which the median is taken.")] = 3,
    users: Annotated[bool, typer.Option("--users", help="Errors by user: 20 rows each.")] = False,
    linear: Annotated[str, typer.Option(help="Numbers of rows to measure ours on, such as 100000,1000000.")] = "",
    results: Annotated[Path, typer.Option(help="Folder for the figures.")] = RESULTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Measure the CPU of an evaluation of 25 α beside a plain loop and Open Bandit Pipeline.

    Example: python -m benchmarks.evaluation --rows 100000 --json
    """
    beside = PYTHON.exists() and not users
    if not beside:
        tell("without Open Bandit Pipeline, which has no errors by user; `make bench-obp` installs it")
    result = compared(rows, arms, rounds, by_user=users, obp=PYTHON if beside else None)
    if linear:
        result["cpu_us_per_row"] = linearity([int(count) for count in linear.split(",")], arms)
    append_result(results, "evaluation", {"commit": commit(), **result})
    report(result, as_json)


if __name__ == "__main__":
    run_command(main)
