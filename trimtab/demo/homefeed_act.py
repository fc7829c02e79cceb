"""Act 2: two objectives, live. The simulated homefeed explores, learns and passes the gate; people promote it, and
change α."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from drift_detection.head_drift import DriftLimits, check_heads
from drift_detection.quantile_sketch import QuantileSketch
from event_schemas.experiment import Experiment
from event_schemas.instant import epoch_ms, moment_of
from event_schemas.slices import Slice
from off_policy.evaluation_report import EvaluationReport
from simulator.simulation import latest_end
from trimtab.demo.act_outcome import (
    DriftView,
    EvaluationView,
    ExperimentOutcome,
    LearnOutcome,
    ServedTraffic,
)
from trimtab.demo.act_stage import (
    ActStage,
    funnel_of,
    node_outcome,
    published_checkpoint,
    published_evaluation,
)
from trimtab.demo.job_runner import DemoFailed, Job
from trimtab.demo.joined_examples import JoinedExamples, read_examples
from trimtab.demo.serving_nodes import NodeProcess, await_nodes, start_nodes
from trimtab.demo.workspace import GOVERNANCE, DemoExperiment

STABLE, CANARY = "stable", "canary"
PILOT_REQUESTS, PILOT_DAYS, PILOT_EXPLORATION = 30_000, 21, 0.95
SERVED_REQUESTS, SERVED_DAYS = 1_000, 0.5
# Live predictions for the drift check at pick-up: enough to keep the noise of its statistic far below the limit.
WARM_REQUESTS = 600
ALPHA_BEFORE, ALPHA_AFTER = 0.1, 0.3


@dataclass(frozen=True)
class Calendar:
    """When the simulated phases end: the warm-up, then the pilot, then half a day at each α; most at midnight UTC."""

    last: datetime

    @classmethod
    def before(cls, now: datetime, experiment: Experiment) -> Calendar:
        """A calendar whose last phase ends at the last midnight for which the log can be closed by `now`."""
        latest = moment_of(latest_end(experiment, epoch_ms(now)))
        return cls(latest.replace(hour=0, minute=0, second=0, microsecond=0))

    def warm_up(self) -> str:
        """End of the nodes' first traffic, before the pilot begins, in ISO 8601."""
        return (self.last - timedelta(days=2 + PILOT_DAYS, hours=1)).isoformat()

    def pilot(self) -> str:
        """End of the pilot, in ISO 8601."""
        return (self.last - timedelta(days=2)).isoformat()

    def served(self, phase: int) -> str:
        """End of served traffic 0 or 1, in ISO 8601."""
        return (self.last - timedelta(days=1 - phase)).isoformat()


def play(stage: ActStage, now: datetime) -> ExperimentOutcome:
    """Warm up → explore → join → learn → gate → promote → serve at α = 0.1 → approve α = 0.3 → serve → reconcile."""
    [experiment] = stage.experiments
    calendar = Calendar.before(now, experiment.spec)
    stage.start_joins()
    nodes, warm = _warm_up(stage, experiment, calendar)
    pilot, learner = _explore(stage, experiment, calendar, warm["acknowledged"]["Propensity"])
    learned = _learn_and_swap(stage, experiment, learner, nodes)
    reports = [_serve(stage, experiment, nodes, ALPHA_BEFORE, calendar.served(0))]
    _turn_alpha(stage, experiment, nodes)
    reports.append(_serve(stage, experiment, nodes, ALPHA_AFTER, calendar.served(1)))
    stage.await_joins()
    [reconciled] = stage.reconcile()
    joined = read_examples(experiment)
    decisions = sum(report["acknowledged"]["Propensity"] for report in (warm, pilot, *reports))
    evaluation = published_evaluation(published_checkpoint(experiment, learned.version))
    outcome = ExperimentOutcome(
        act=2,
        experiment=experiment.name,
        title="Simulated homefeed, two objectives (world `easy`: lifts are far larger than on a real surface)",
        funnel=funnel_of(decisions, reconciled, joined),
        learned=learned,
        nodes=[node_outcome(node, STABLE, node.acknowledged()["Propensity"]) for node in nodes],
        evaluations=[
            EvaluationView("preference α = 0.1", EvaluationReport.from_dict(judgement), ("preference",))
            for judgement in (evaluation["judgement"],)
            if judgement is not None
        ],
        selection=EvaluationReport.from_dict(evaluation["selection"]),
        drift=_live_drift(experiment, learned, joined),
        head_shift=evaluation["head_shift"],
        traffic=[
            ServedTraffic.of(alpha, report) for alpha, report in zip((ALPHA_BEFORE, ALPHA_AFTER), reports, strict=True)
        ],
        exploration_rate=pilot["exploration_rate"],
    )
    stage.stop(nodes)
    return outcome


def _warm_up(
    stage: ActStage, experiment: DemoExperiment, calendar: Calendar
) -> tuple[list[NodeProcess], dict[str, Any]]:
    """Lets two nodes serve production for a while, so that the drift check at pick-up has live predictions."""
    nodes = start_nodes(stage.runner, experiment)
    await_nodes(stage.runner, nodes, NodeProcess.ready, "both nodes answer", stage.quiet)
    job = _traffic_job(experiment, nodes, WARM_REQUESTS, ("--seed", "2", "--ending", calendar.warm_up()))
    return nodes, stage.run("two nodes serve production weights: there is no policy yet", [job])[0].json()


def _explore(
    stage: ActStage, experiment: DemoExperiment, calendar: Calendar, warmed: int
) -> tuple[dict[str, Any], str]:
    """Runs the pilot; returns its report and the name of the learner.

    The learner ingests during the pilot and trains once it has every example.
    """
    learn = experiment.job("learn", "--once", "--wait-examples", str(PILOT_REQUESTS + warmed), "--json")
    stage.runner.start(learn)
    pilot = experiment.job(
        "simulate",
        *("--requests", str(PILOT_REQUESTS), "--days", str(PILOT_DAYS), "--seed", "1", "--ending", calendar.pilot()),
        *("--exploration-rate", str(PILOT_EXPLORATION), "--json"),
    )
    spoken = f"{PILOT_DAYS} simulated days of traffic, {PILOT_EXPLORATION:.0%} explored (a real surface: 1.25 %)"
    report = stage.run(spoken, [pilot])[0].json()
    return report, learn.name


def _learn_and_swap(
    stage: ActStage, experiment: DemoExperiment, learner: str, nodes: list[NodeProcess]
) -> LearnOutcome:
    """Waits until the learner has published its canary, a person has promoted it, and the nodes have swapped it in.

    An online experiment of a week would decide on a real surface; a demo of minutes needs a person.
    """
    with stage.screen.step("train on 14 days, judge on the next 7") as step:
        learned = LearnOutcome.of(stage.runner.finish([learner], stage.ticking(step))[0].json())
        step.show(f"{learned.version}: {learned.verdict_sentence}")
    if learned.channel != CANARY:
        raise DemoFailed(
            f"the gate's verdict on the homefeed's checkpoint is {learned.verdict_sentence}:"
            f" {'; '.join(learned.reasons)}",
            fix="see the learner's log: the checkpoint's true lift is large, so the gate should pass it",
        )
    _promote(stage, experiment, learned.version)
    stage.await_pickup(nodes, STABLE, {experiment.name: learned.version})
    return learned


def _promote(stage: ActStage, experiment: DemoExperiment, version: str) -> None:
    """Lets the canary serve everybody, as a person may."""
    with stage.screen.step("it is the canary; a person promotes it, without its week-long online experiment") as step:
        reason = "a demo has no week for an online experiment"
        promote = experiment.job(
            *("policy", "promote", version, "--to", STABLE, "--by", "grace", "--reason", reason, "--json"),
            label="policy-promote",
            signs_as=GOVERNANCE,
        )
        revision = stage.runner.run([promote], stage.quiet)[0].json()["revision"]
        step.show(f"revision {revision} of channel:{STABLE}")


def _serve(
    stage: ActStage, experiment: DemoExperiment, nodes: list[NodeProcess], alpha: float, ending: str
) -> dict[str, Any]:
    chosen = ("--seed", str(round(100 * alpha)), "--ending", ending)
    job = _traffic_job(experiment, nodes, SERVED_REQUESTS, chosen)
    with stage.screen.step(f"traffic through the nodes at α = {alpha}") as step:
        report = stage.runner.run([job], stage.ticking(step))[0].json()
        weights = report["mean_weights"].get("POLICY", {})
        step.show("mean served weights: " + ", ".join(f"{name} {value:.1f}" for name, value in weights.items()))
    return report


def _traffic_job(experiment: DemoExperiment, nodes: list[NodeProcess], requests: int, chosen: tuple[str, ...]) -> Job:
    """The job that sends half a day of traffic to the nodes in turn."""
    via = [argument for node in nodes for argument in ("--via", node.url)]
    amount = ("--requests", str(requests), "--days", str(SERVED_DAYS))
    return experiment.job("simulate", *amount, *chosen, *via, "--json", label=f"simulate-{chosen[1]}")


def _turn_alpha(stage: ActStage, experiment: DemoExperiment, nodes: list[NodeProcess]) -> None:
    """Changes α: one person proposes, another approves with the governance key, and the nodes follow."""
    with stage.screen.step(f"`trimtab alpha`: one person proposes {ALPHA_AFTER}, another approves it") as step:
        propose = experiment.job(
            *("alpha", "propose", str(ALPHA_AFTER), "--by", "ada", "--reason", "more shopping", "--json"),
            label="alpha-propose",
        )
        proposal = stage.runner.run([propose], stage.quiet)[0].json()
        approve = experiment.job(
            *("alpha", "approve", proposal["proposal_id"], "--by", "grace", "--reason", "agreed", "--json"),
            label="alpha-approve",
            signs_as=GOVERNANCE,
        )
        revision = stage.runner.run([approve], stage.quiet)[0].json()["revision"]
        await_nodes(
            stage.runner,
            nodes,
            lambda node: node.health().get("config_revision") == revision,
            f"both nodes follow revision {revision}",
            stage.quiet,
        )
        step.show(f"revision {revision} in force on both nodes")


def _live_drift(experiment: DemoExperiment, learned: LearnOutcome, joined: JoinedExamples) -> DriftView:
    """The ranker's heads in the nodes' POLICY traffic against the checkpoint's reference."""
    manifest = published_checkpoint(experiment, learned.version).parsed()
    reference = {head: QuantileSketch.from_dict(sketch) for head, sketch in manifest.reference["ranker_heads"].items()}
    live = joined.heads_of_slice(Slice.POLICY.value)
    limits = DriftLimits(experiment.spec.gate.max_drift, experiment.spec.serving.min_drift_samples)
    return DriftView(check_heads(reference, live, limits), reference, live)
