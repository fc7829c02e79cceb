"""`python -m benchmarks.evaluation_stream`: an evaluation of 25 α whose predictions come a block of rows at a time.

The log is as in `benchmarks.evaluation`: two objectives, three cohorts, production as arm 0. Users have 20 rows each
and one cohort, and errors are computed by user unless `--by-row`. The predictions of a block are drawn, used and
dropped. The memory is the peak of this whole process, Python and libraries included.
"""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.bench_broker import tell
from benchmarks.command_line import report, run_command
from benchmarks.evaluation import ALPHAS, COHORTS, OBJECTIVES, ROWS_OF_A_USER, arm_shares
from benchmarks.results_folder import RESULTS, append_result
from benchmarks.study_run import commit
from off_policy.block_moments import BLOCK_ROWS
from off_policy.evaluation_report import EvaluationReport
from off_policy.intervals import EvidenceRequirements
from off_policy.logged_bandit import LoggedBandit
from off_policy.numeric_arrays import FloatArray
from off_policy.policy_evaluation import BlockwiseEvaluation, PredictedPolicy
from off_policy.target_policies import alpha_policies, constant_policy


def drawn_log(rows: int, arms: int, *, by_row: bool, seed: int = 0) -> LoggedBandit:
    """Rewards in a tenth of the rows; users come back at random."""
    rng, shares = np.random.default_rng(seed), arm_shares(arms)
    action = rng.choice(arms, size=rows, p=shares)
    reward = np.empty((rows, len(OBJECTIVES)))
    for start in range(0, rows, BLOCK_ROWS):
        part = reward[start : start + BLOCK_ROWS]
        part[:] = rng.random(part.shape) < 0.1
    users = rng.integers(max(rows // ROWS_OF_A_USER, 1), size=rows)
    cohort = np.array(COHORTS, dtype=object)[users % len(COHORTS)]
    observed = np.ones(reward.shape, dtype=np.bool_)
    return LoggedBandit(action, shares[action], reward, observed, OBJECTIVES, cohort, None if by_row else users)


def drawn_predictions(block: int, rows: int, arms: int) -> FloatArray:
    """float[rows, arms, 2]: what a model that knows nothing predicts in a block."""
    return np.random.default_rng([1, block]).random((rows, arms, len(OBJECTIVES)))


def evaluated(log: LoggedBandit, arms: int) -> EvaluationReport:
    """The report on the whole log, from one block of predictions at a time."""
    evaluation = BlockwiseEvaluation(log)
    for block, start in enumerate(range(0, log.rows, BLOCK_ROWS)):
        part = slice(start, min(start + BLOCK_ROWS, log.rows))
        rows = part.stop - part.start
        q = drawn_predictions(block, rows, arms)
        predicted = [PredictedPolicy(each, each.expected(q)) for each in alpha_policies(q, 1, ALPHAS)]
        production = constant_policy("production", 0, rows)
        baseline = PredictedPolicy(production, production.expected(q))
        evaluation.add(predicted, baseline, q[np.arange(rows), log.action[part]], rows)
    return evaluation.concluded(EvidenceRequirements())


def measured(rows: int, arms: int, *, by_row: bool) -> dict[str, Any]:
    """CPU seconds, the peak memory of this process, and estimates that any version must give alike."""
    log = drawn_log(rows, arms, by_row=by_row)
    tell(f"a log of {rows} rows drawn: {peak_mib():.0f} MiB")
    began = time.process_time()
    estimates = evaluated(log, arms).policies[0].objectives[OBJECTIVES[0]].estimates
    cpu = time.process_time() - began
    return {
        "rows": rows,
        "arms": arms,
        "alphas": len(ALPHAS),
        "by": "row" if by_row else "user",
        "peak_rss_mib": round(peak_mib(), 1),
        "cpu_seconds": round(cpu, 2),
        "cpu_us_per_row": round(cpu * 1e6 / rows, 3),
        "dr": estimates["dr"].value,
        "dr_error": estimates["dr"].standard_error,
    }


def peak_mib() -> float:
    """The largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(
    rows: Annotated[int, typer.Option(min=100, help="Number of explored decisions.")] = 10_000_000,
    arms: Annotated[int, typer.Option(min=2, help="Number of arms.")] = 50,
    by_row: Annotated[bool, typer.Option("--by-row", help="Errors by row instead of by user.")] = False,
    results: Annotated[Path, typer.Option(help="Folder for the figures.")] = RESULTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Measure the memory of an evaluation of 25 α block by block.

    Example: python -m benchmarks.evaluation_stream --rows 10000000 --json
    """
    result = measured(rows, arms, by_row=by_row)
    append_result(results, "evaluation_stream", {"commit": commit(), **result})
    report(result, as_json)


if __name__ == "__main__":
    run_command(main)
