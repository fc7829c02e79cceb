"""`python -m benchmarks.gate_learners`: does the gate judge a network as it judges a ridge regression?

The error rates of `benchmarks.gate` come from a ridge regression that is trained again every day in memory. Here the
learners that ship are trained on logs of the world `homefeed`, and what the gate reads is held against exact values:
the error of each judged lift in standard errors, the intervals' width and coverage, and the verdicts. All learners see
the same logs. The bars: errors of mean 0 and of the same spread as those of the other learner, as far as chance allows;
intervals at most a quarter wider; wrong passes as rare as the look's share says, as far as chance allows.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from scipy.stats import binom, norm

from benchmarks.bench_broker import tell
from benchmarks.command_line import report, run_command
from benchmarks.gate_learners_page import write_page
from benchmarks.interval_coverage import PAGE
from benchmarks.known_logs import KnownLog, known_log
from benchmarks.results_folder import RESULTS, append_result
from benchmarks.study_run import commit, fresh_processes, origin
from event_schemas.experiment import Experiment, load_experiment
from feature_contract import FeatureContract
from learner.examples.training_window import LearningWindow, build_window
from learner.judgement.candidate_policies import PREFERENCE, preferred_policy
from learner.judgement.evaluation import Candidate, evaluate_window, judging_half
from learner.judgement.gate import judge
from learner.judgement.gate_budget import GateBudget, Look, gate_settings
from learner.network.algorithm import make_algorithm
from policy_store.records import ObjectiveWeights
from simulator.homefeed_world import with_exploration_rate

EXPERIMENT = Path(__file__).parents[1] / "simulator" / "experiments" / "homefeed.toml"
LEARNERS = ("q_network", "linear")
RATE, DAYS, STEPS = 0.6, 21, 4
MOST_WIDER = 1.25
CHANCE = 3.0
"""A difference of more standard errors than this is not chance."""


@dataclass(frozen=True, slots=True)
class JudgedLift:
    """A relative lift that the gate reads, with its interval, and the true lift of the same policy on the same rows."""

    lift: float
    lower: float
    upper: float
    true: float
    level: float

    @property
    def half_width(self) -> float:
        """Half of the interval's width."""
        return (self.upper - self.lower) / 2.0

    @property
    def error(self) -> float:
        """The error in standard errors, those of a normal interval."""
        return (self.lift - self.true) / (self.half_width / float(norm.ppf(0.5 + self.level / 2.0)))

    @property
    def covered(self) -> bool:
        """Whether the interval holds the true lift."""
        return self.lower <= self.true <= self.upper


@dataclass(frozen=True, slots=True)
class JudgedRun:
    """What the gate read of one learner on one log; a pass is `wrong` if a true lift is at or below -margin."""

    lifts: tuple[JudgedLift, ...]
    verdict: str
    wrong: bool
    seconds: float


def experiment_of(learner: str) -> Experiment:
    """The simulated homefeed with fewer arms, explored more often, with this learner."""
    experiment = with_exploration_rate(load_experiment(EXPERIMENT), RATE)
    weights = tuple(weight.model_copy(update={"steps": STEPS}) for weight in experiment.weights)
    learning = experiment.learner.model_copy(update={"algorithm": learner})
    return experiment.model_copy(update={"weights": weights, "learner": learning})


def judged_run(learner: str, log: KnownLog) -> JudgedRun:
    """Trains the learner on the log's window and judges it in a first look.

    Nobody counted decisions here: the log is complete because it is simulated, so nothing is said of that.
    """
    experiment = experiment_of(learner)
    contract = FeatureContract.from_experiment(experiment)
    window = build_window(log.frame, experiment, contract)
    preference, look = ObjectiveWeights.in_force(experiment), _first_look(window, experiment)
    algorithm = make_algorithm(experiment, contract)
    training = algorithm.fit(window.training, lambda _: None)
    q = algorithm.score(window.holdout.inputs)
    evaluation = evaluate_window(window, Candidate(lambda rows: q[rows], preference, look), experiment)
    evidence = replace(evaluation.evidence, completeness_doubt="")
    verdict = judge(evidence, experiment.gate).verdict.value
    true = _true_lifts(window, q, log, preference)
    lifts = []
    for name, truth in zip(experiment.objective_names, true.tolist(), strict=True):
        found = evidence.lifts[name]
        assert found.relative_interval is not None, found.refusal
        lifts.append(
            JudgedLift(found.relative, found.relative_interval.lower, found.relative_interval.upper, truth, look.level)
        )
    wrong = verdict == "pass" and float(true.min()) <= -experiment.gate.margin
    return JudgedRun(tuple(lifts), verdict, wrong, training.seconds)


def _first_look(window: LearningWindow, experiment: Experiment) -> Look:
    look = GateBudget(gate_settings(experiment)).look_at(window.bounds.holdout_from, window.bounds.holdout_to)
    assert look is not None
    return look


def _true_lifts(
    window: LearningWindow, q: NDArray[np.float32], log: KnownLog, preference: ObjectiveWeights
) -> NDArray[np.float64]:
    """float[objectives]: relative lifts over production on the judging half, of the policy that follows from `q`."""
    places = np.flatnonzero(judging_half(window.holdout))
    rows, space = window.holdout.take(places), log.experiment.action_space
    cohorts = rows.frame["request_cohort"].to_list()
    policy = preferred_policy(q[places].astype(np.float64), preference, cohorts, rows.eligible(space.arms))
    assert policy.name == PREFERENCE and policy.arms is not None
    values = log.values(rows.frame["request_request_id"])
    served, base = values[np.arange(len(values)), policy.arms], values[:, space.production_arm]
    lifts: NDArray[np.float64] = served.mean(axis=0) / base.mean(axis=0) - 1.0
    return lifts


def judged_log(requests: int, seed: int) -> dict[str, JudgedRun]:
    """All learners on one log."""
    log = known_log(experiment_of(LEARNERS[0]), "homefeed", requests, DAYS, seed)
    return {learner: judged_run(learner, log) for learner in LEARNERS}


def figures_of(learner: str, runs: Sequence[JudgedRun]) -> dict[str, Any]:
    """What the gate read of a learner on all logs."""
    lifts = [lift for run in runs for lift in run.lifts]
    errors = np.array([lift.error for lift in lifts])
    verdicts = [run.verdict for run in runs]
    return {
        "learner": learner,
        "logs": len(runs),
        "lifts": len(lifts),
        "error_mean": float(errors.mean()),
        "error_spread": float(errors.std(ddof=1)),
        "covered": sum(lift.covered for lift in lifts),
        "level": lifts[0].level,
        "half_width": float(np.median([lift.half_width for lift in lifts])),
        "true_lift": float(np.mean([lift.true for lift in lifts])),
        "verdicts": {name: verdicts.count(name) for name in sorted(set(verdicts))},
        "wrong": sum(run.wrong for run in runs),
        "seconds": float(np.median([run.seconds for run in runs])),
    }


def failures(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What misses a bar, in words. The lifts of a log count as one observation: their errors may be dependent."""
    for each in found:
        name, logs, level = each["learner"], each["logs"], each["level"]
        if abs(each["error_mean"]) > CHANCE / math.sqrt(logs):
            yield f"{name}: judged lifts are off by {each['error_mean']:.2f} standard errors on average"
        if each["covered"] < binom.ppf(norm.sf(CHANCE), logs, level) / logs * each["lifts"]:
            yield f"{name}: only {each['covered']} of {each['lifts']} intervals hold the true lift"
        if each["wrong"] > binom.ppf(norm.cdf(CHANCE), logs, (1.0 - level) / 2.0):
            yield f"{name}: {each['wrong']} of {logs} passes are wrong"
    spreads, widths = ([each[name] for each in found] for name in ("error_spread", "half_width"))
    if math.log(max(spreads) / min(spreads)) > CHANCE / math.sqrt(min(each["logs"] for each in found)):
        yield f"the spreads of the errors differ: {', '.join(f'{spread:.2f}' for spread in spreads)}"
    if max(widths) > MOST_WIDER * min(widths):
        yield f"the intervals' widths differ: {', '.join(f'{width:.3f}' for width in widths)}"


def main(
    logs: Annotated[int, typer.Option(min=2, help="Simulated logs.")] = 24,
    requests: Annotated[int, typer.Option(min=1_000, help="Requests of each log.")] = 120_000,
    seed: Annotated[int, typer.Option(help="Seed of the first log.")] = 1,
    processes: Annotated[int, typer.Option(min=1, help="Processes that train.")] = os.cpu_count() or 1,
    page: Annotated[Path, typer.Option(help="Page whose section is rewritten.")] = PAGE,
    results: Annotated[Path, typer.Option(help="Folder for the figures.")] = RESULTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Compare what the gate reads of a network and of a ridge regression. Takes a quarter of an hour.

    Example: python -m benchmarks.gate_learners --json
    """
    started = commit()
    with fresh_processes(processes) as pool:
        asked = [pool.submit(judged_log, requests, seed + number) for number in range(logs)]
        found = list[dict[str, JudgedRun]]()
        for each in asked:
            found.append(each.result())
            tell(f"{len(found)} of {logs} logs")
    figures = [figures_of(learner, [runs[learner] for runs in found]) for learner in LEARNERS]
    run = {
        **origin(started, seed),
        "requests": requests,
        "figures": figures,
        "missed": list(failures(figures)),
    }
    append_result(results, "gate_learners", run | {"runs": [{k: asdict(v) for k, v in each.items()} for each in found]})
    write_page(page, run)
    report(run, as_json)


if __name__ == "__main__":
    run_command(main)
