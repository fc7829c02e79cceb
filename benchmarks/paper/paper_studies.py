"""What `python -m benchmarks.paper` runs of each seed, in a process of its own, and what it makes of all seeds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import Any

import torch

from benchmarks.paper import agreement, cohort_alphas, controls, personalisation, trade_off
from benchmarks.paper.lift_points import offline_points, online_points
from benchmarks.paper.online_arms import BY_COHORT, alpha_name, served_online
from benchmarks.paper.paper_sizes import PaperSizes
from benchmarks.paper.replication import ONLINE_ALPHAS, Replication, replicated

FINDINGS = ("agreement", "trade_off", "cohorts", "personalisation", "controls")
Study = Callable[[int, PaperSizes], dict[str, Any]]


def homefeed_run(seed: int, sizes: PaperSizes) -> dict[str, Any]:
    """Findings 1 to 4 of one seed: they share its learner, its hold-out and its online experiment."""
    torch.set_num_threads(1)
    started = time.process_time()
    replication = replicated(seed, sizes)
    return homefeed_figures(replication, time.process_time() - started)


def homefeed_figures(replication: Replication, cpu_s: float) -> dict[str, Any]:
    """Evaluates the hold-out, runs the online experiment and compares; `cpu_s` are those that were spent before."""
    started = time.process_time()
    offline = offline_points(replication)
    evaluated = time.process_time()
    online, fresh = served_online(replication, cohort_alphas.by_cohort(offline, "lift"))
    arms = online_points(online, replication.experiment.objective_names)
    same = offline["all"][::3]
    beside = [arms[alpha_name(alpha)]["all"] for alpha in ONLINE_ALPHAS.tolist()]
    cpu = {"learner and hold-out": cpu_s, "offline": evaluated - started, "online": time.process_time() - evaluated}
    return {
        "seed": replication.seed,
        "rows": {"training": replication.training_rows, "hold-out": replication.log.rows, "online": len(online.arm)},
        "cpu_s": _rounded(cpu),
        "points": {"offline": same, "online": beside},
        "agreement": agreement.agreement(same, beside),
        "trade_off": trade_off.trade_off(same, beside),
        "cohorts": cohort_alphas.judged(offline, fresh),
        "cohort_arm": arms[BY_COHORT],
        "personalisation": personalisation.personalised(fresh, replication.experiment.action_space),
    }


def controls_run(seed: int, sizes: PaperSizes) -> dict[str, Any]:
    """Finding 7 of one seed."""
    torch.set_num_threads(1)
    started = time.process_time()
    found = controls.controls(seed, sizes)
    return {"seed": seed, "cpu_s": _rounded({"controls": time.process_time() - started}), **found}


def results_in_time(
    pool: Executor, studies: Sequence[tuple[Study, int]], sizes: PaperSizes, processes: int, minutes: float
) -> Iterator[tuple[Study, dict[str, Any]]]:
    """What each study finds, as they end; none is begun after so many minutes."""
    waiting, until = list(studies), time.monotonic() + 60.0 * minutes
    running: dict[Future[dict[str, Any]], Study] = {}
    while waiting or running:
        while waiting and len(running) < processes and time.monotonic() < until:
            study, seed = waiting.pop(0)
            running[pool.submit(study, seed, sizes)] = study
        if not running:
            return
        for done in wait(running, return_when=FIRST_COMPLETED).done:
            yield running.pop(done), done.result()


def studies_of(findings: Sequence[str], seeds: int) -> list[tuple[Study, int]]:
    """The studies that these findings need; those of the homefeed come first, so that a stopped run has them."""
    needed: list[Study] = []
    if set(findings) - {"controls"}:
        needed.append(homefeed_run)
    if "controls" in findings:
        needed.append(controls_run)
    return [(study, seed) for study in needed for seed in range(1, seeds + 1)]


def figures_of(
    findings: Sequence[str], runs: Sequence[dict[str, Any]], of_controls: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """The figures of each finding over the seeds that were run."""
    found: dict[str, Any] = {}
    if runs and "agreement" in findings:
        found["agreement"] = agreement.summary([run["agreement"] for run in runs])
    if runs and "trade_off" in findings:
        found["trade_off"] = trade_off.summary([run["trade_off"] for run in runs])
    if runs and "cohorts" in findings:
        found["cohorts"] = cohort_alphas.summary([run["cohorts"] for run in runs], [run["cohort_arm"] for run in runs])
    if runs and "personalisation" in findings:
        found["personalisation"] = personalisation.summary([run["personalisation"] for run in runs])
    if of_controls:
        found["controls"] = controls.summary(of_controls)
    return found


def _rounded(seconds: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 1) for name, value in seconds.items()}
