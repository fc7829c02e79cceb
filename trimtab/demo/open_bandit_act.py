"""Act 1: a real log. Three campaigns of the Open Bandit Dataset, one experiment each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from event_schemas.experiment import Experiment
from event_schemas.instant import moment_of
from event_schemas.units import DAY_MS
from off_policy.evaluation_report import EvaluationReport
from serving_agent.decide import DecisionRequest
from simulator.sidecar_port import SidecarPort
from trimtab.demo.act_outcome import EvaluationView, ExperimentOutcome, LearnOutcome
from trimtab.demo.act_stage import ActStage, funnel_of, node_outcome
from trimtab.demo.job_runner import DemoFailed, Job
from trimtab.demo.joined_examples import read_examples
from trimtab.demo.serving_nodes import NodeProcess, await_nodes, start_nodes
from trimtab.demo.workspace import OPEN_BANDIT, DemoExperiment

CAMPAIGNS = ("all", "men", "women")
SHADOW = "shadow"
# Sized for two cores; a learner needs a gigabyte of memory while it runs.
CAMPAIGNS_AT_ONCE = 2
HELD_OUT_REQUESTS = 200
HELD_OUT_DAYS = 2
WARM_REQUESTS = 240
# Held-out requests are served "two weeks later", long after the windows of the replayed log have ended.
LATER_MS = 14 * DAY_MS
APART_MS = 1_000


@dataclass(frozen=True)
class _Replayed:
    """Totals of one campaign's replay."""

    decisions: int
    last_event_time: int


def play(stage: ActStage) -> list[ExperimentOutcome]:
    """Replay → join → learn → evaluate → serve from shadow → close → reconcile; one outcome per campaign."""
    stage.start_joins()
    nodes = {experiment.name: start_nodes(stage.runner, experiment) for experiment in stage.experiments}
    every_node = [node for group in nodes.values() for node in group]
    await_nodes(stage.runner, every_node, NodeProcess.ready, "every node answers", stage.quiet)
    warmed = _serve(stage, nodes, first_requests, "nodes serve production the day before the log begins")
    replayed = _replay(stage)
    learned, views = _learn_and_evaluate(stage, {name: sum(counts) for name, counts in warmed.items()})
    versions = {name: outcome.version for name, outcome in learned.items()}
    stage.await_pickup(every_node, SHADOW, versions)
    served = _serve(stage, nodes, held_out_requests, "nodes serve held-out requests and log what the shadow would do")
    _close(stage, replayed)
    stage.await_joins()
    reports = stage.reconcile()
    outcomes = []
    for experiment, report in zip(stage.experiments, reports, strict=True):
        name = experiment.name
        joined = read_examples(experiment)
        arm_names = experiment.spec.action_space.arm_names
        outcomes.append(
            ExperimentOutcome(
                act=1,
                experiment=name,
                title=f"Open Bandit, campaign {name.rpartition('-')[2]}",
                funnel=funnel_of(replayed[name].decisions + sum(served[name]), report, joined),
                learned=learned[name],
                nodes=[node_outcome(n, SHADOW, count) for n, count in zip(nodes[name], served[name], strict=True)],
                evaluations=views[name],
                shadowed={f"item {arm_names[arm]}": count for arm, count in joined.shadowed().most_common(5)},
            )
        )
    stage.stop(every_node)
    return outcomes


def _replay(stage: ActStage) -> dict[str, _Replayed]:
    """Replays all campaigns in parallel; returns the totals by experiment."""
    replays = [_replay_job(experiment) for experiment in stage.experiments]
    results = stage.run("replay the real log, paced by the join", replays)
    replayed = {}
    for experiment, result in zip(stage.experiments, results, strict=True):
        report = result.json()
        if report["acknowledged"] != report["handed_in"]:
            raise DemoFailed(f"{result.name}: some events were not acknowledged: {report}", fix="report this as a bug")
        replayed[experiment.name] = _Replayed(report["decisions"], report["last_event_time"])
    return replayed


def _learn_and_evaluate(
    stage: ActStage, warmed: dict[str, int]
) -> tuple[dict[str, LearnOutcome], dict[str, list[EvaluationView]]]:
    """For each campaign: learns, then evaluates the learned policy and that of the BTS log on the held-out rows."""
    chains = [
        (
            experiment.job(
                "learn", "--once", "--wait-examples", str(_rows(experiment) + warmed[experiment.name]), "--json"
            ),
            experiment.job("evaluate", "--json", label="evaluate-learned"),
            _bts_job(experiment),
        )
        for experiment in stage.experiments
    ]
    learned, views = {}, {}
    with stage.screen.step("train on the earlier days, judge and evaluate on the held-out ones") as step:
        results = stage.runner.run_chains(chains, CAMPAIGNS_AT_ONCE, stage.ticking(step))
        for experiment, (run, *evaluations) in zip(stage.experiments, results, strict=True):
            own, bts = (EvaluationReport.from_dict(result.json()["report"]) for result in evaluations)
            learned[experiment.name] = LearnOutcome.of(run.json())
            views[experiment.name] = [
                EvaluationView("learned policy", own, ("preference",)),
                EvaluationView("policy of the BTS log", bts, ("bts_policy",)),
            ]
        step.show("; ".join(dict.fromkeys(outcome.verdict_sentence for outcome in learned.values())))
    return learned, views


def _serve(
    stage: ActStage,
    nodes: dict[str, list[NodeProcess]],
    requests_of: Callable[[DemoExperiment], list[DecisionRequest]],
    spoken: str,
) -> dict[str, list[int]]:
    """Sends requests to the nodes in turn; returns, per campaign, the acknowledged decisions of each node so far."""
    with stage.screen.step(spoken) as step:
        served = {}
        for experiment in stage.experiments:
            ports = [SidecarPort(node.url) for node in nodes[experiment.name]]
            for number, request in enumerate(requests_of(experiment)):
                ports[number % len(ports)].decide(request).applied()
                if number % 50 == 0:
                    stage.runner.require_running()
                    step.show(f"{experiment.name}: {number} requests")
            for port in ports:
                port.close()
            served[experiment.name] = [node.acknowledged()["Propensity"] for node in nodes[experiment.name]]
        step.show(f"{sum(map(sum, served.values())):,} decisions so far")
    return served


def first_requests(experiment: DemoExperiment) -> list[DecisionRequest]:
    """The log's first requests under new ids, dated a day before the log: live traffic for the drift check."""
    rows = _log(experiment).head(WARM_REQUESTS)
    return _as_requests(rows, experiment.spec, "warm-up", int(rows["time"][0]) - DAY_MS)


def held_out_requests(experiment: DemoExperiment) -> list[DecisionRequest]:
    """Every n-th request of the log's last two days, under new ids and dated two weeks later."""
    rows = _log(experiment)
    newest = int(rows["time"][-1])
    rows = rows.filter(pl.col("time") > newest - HELD_OUT_DAYS * DAY_MS)
    rows = rows.gather_every(max(1, rows.height // HELD_OUT_REQUESTS)).head(HELD_OUT_REQUESTS)
    return _as_requests(rows, experiment.spec, "held-out", newest + LATER_MS - rows.height * APART_MS)


def _log(experiment: DemoExperiment) -> pl.DataFrame:
    """The campaign's log in order of time, with a column `time` in ms."""
    rows = pl.read_parquet(_log_file(experiment)).sort("timestamp", "row_index")
    return rows.with_columns(time=rows["timestamp"].dt.epoch("ms"))


def _as_requests(rows: pl.DataFrame, spec: Experiment, purpose: str, start_ms: int) -> list[DecisionRequest]:
    """The rows as requests, one per second from `start_ms` on.

    They are close enough to stay within the join's window even if one node logs later than the other.
    """
    return [
        DecisionRequest(
            request_id=f"{spec.name}-{purpose}-{row['row_index']}",
            context={feature.name: str(row[feature.name]) for feature in spec.features.context},
            event_time=start_ms + number * APART_MS,
        )
        for number, row in enumerate(rows.iter_rows(named=True))
    ]


def _close(stage: ActStage, replayed: dict[str, _Replayed]) -> None:
    """Writes heartbeats that lie after the window of the last request served."""
    jobs = []
    for experiment in stage.experiments:
        last = replayed[experiment.name].last_event_time + LATER_MS + experiment.spec.window_ms + 1
        moment = moment_of(last).isoformat()
        jobs.append(experiment.job("replay", "--heartbeat-at", moment, "--json", label="heartbeats"))
    stage.run("close the log by heartbeats", jobs)


def experiment_files() -> list[Path]:
    """The experiment files, in the order of CAMPAIGNS."""
    return [OPEN_BANDIT / "experiments" / f"{campaign}.toml" for campaign in CAMPAIGNS]


def _replay_job(experiment: DemoExperiment) -> Job:
    arguments = (str(_log_file(experiment)), "--mapping", str(OPEN_BANDIT / "mapping.toml"), "--json")
    return experiment.job("replay", *arguments)


def _bts_job(experiment: DemoExperiment) -> Job:
    table = ("--policy", str(OPEN_BANDIT / "bts_policy.parquet"), "--table", "position=position,base=1")
    arguments = (*table, "--where", f"campaign={experiment.file.stem}", "--json")
    return experiment.job("evaluate", *arguments, label="evaluate-bts")


def _log_file(experiment: DemoExperiment) -> Path:
    return OPEN_BANDIT / f"random_{experiment.file.stem}.parquet"


def _rows(experiment: DemoExperiment) -> int:
    return int(pl.scan_parquet(_log_file(experiment)).select(pl.len()).collect().item())
