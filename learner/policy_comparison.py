"""Evaluates a policy on stored examples outside a run: learned, uniform, production, or a table from a file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from event_schemas.exploration import ExplorationSettings
from feature_contract import FeatureContract, known_contracts
from learner.asked_policies import ARM, LEARNED, UnknownArm, arm_named, asked_policies, judged_by
from learner.checkpoints.checkpoint import Checkpoint, CheckpointShelf
from learner.checkpoints.checkpoint_building import told_rival
from learner.checkpoints.graph_answers import GraphAnswers, learned_proposals, why_unfit
from learner.checkpoints.run_history import LastRun, unjudged_from
from learner.checkpoints.serving_answers import serving_policy
from learner.checkpoints.serving_checkpoint import ServingCheckpoint
from learner.checkpoints.warm_start import holdout_start
from learner.examples.heavy_units import heavy_units, without_units
from learner.examples.learner_errors import NothingToLearn
from learner.examples.learning_rows import LearningRows
from learner.examples.stored_counts import ForgottenCounts, StoredCounts
from learner.examples.tally_shelf import KeptTallies
from learner.examples.training_window import control_rows, rows_since, window_bounds
from learner.judgement.box_judgement import judge_box
from learner.judgement.candidate_policies import (
    PRODUCTION,
    comparable_places,
)
from learner.judgement.declared_distributions import shared_features
from learner.judgement.evaluation import judging_half, requirements_of
from learner.judgement.log_judgement import ExploredLog, judge_log
from learner.judgement.log_soundness import LogSoundness
from learner.judgement.proposal_table import Proposals
from learner.judgement.serving_comparison import ServingComparison, ServingPolicy, compare_with_serving
from learner.judgement.table_policy import TableLayout
from learner.judgement.withheld_intervals import shown_comparison, shown_report
from off_policy.evaluation_report import EvaluationReport
from off_policy.intervals import EvidenceRequirements
from off_policy.logged_bandit import LoggedBandit
from off_policy.marginal_weights import with_mips
from off_policy.policy_evaluation import PredictedPolicy, evaluate_policies, evaluate_predicted
from policy_store.records import ObjectiveWeights

EVERY_ROW = -(2**62)


@dataclass(frozen=True, eq=False)
class Question:
    """What to evaluate: `policy` is learned, uniform, production, arm:NAME or a Parquet file; `every_row`: all rows.

    The values of `checkpoint` are used; None means the newest checkpoint on this machine. The policy is also compared
    with `serving`, under the preference by which that checkpoint was judged, or if there is none, the file's.
    `forgotten` are the decisions of forgotten users, which producers have counted. `last_run` is the last one that the
    policy store knows of.
    """

    policy: str
    every_row: bool = False
    level: float = 0.95
    layout: TableLayout = field(default_factory=TableLayout)
    checkpoint: Checkpoint | None = None
    serving: ServingCheckpoint = field(default_factory=ServingCheckpoint)
    forgotten: ForgottenCounts = field(default_factory=ForgottenCounts)
    last_run: LastRun | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """The estimates over rows between two event times (epoch ms); `checkpoint` is the one whose answers were used.

    `watched` are those of signals and guardrails; None if there are none. `judged_online` are the names of those that
    only online experiments judge. `log` is the verdict on the log; if it is unsound, nothing has an interval. `serving`
    compares the report's first policy with the checkpoint that is serving. `withheld` rows are left out, because the
    gate has yet to judge them. `linear_rival` says how a linear fit compares with the checkpoint.
    """

    log: LogSoundness
    report: EvaluationReport
    first: int
    last: int
    checkpoint: str | None
    watched: EvaluationReport | None = None
    judged_online: tuple[str, ...] = ()
    serving: ServingComparison = field(default_factory=ServingComparison)
    withheld: int = 0
    linear_rival: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        span = {"rows": self.report.rows, "first_event_time": self.first, "last_event_time": self.last}
        frontier = [
            {"alpha": point.alpha, "on_front": point.on_front, "proposable": point.proposable}
            for point in self.report.frontier("snips")
        ]
        watched = None if self.watched is None else self.watched.as_dict()
        content = {
            "checkpoint": self.checkpoint,
            "report": self.report.as_dict(),
            "watched": watched,
            "judged_online": list(self.judged_online),
            "serving": self.serving.as_dict(),
            "withheld": self.withheld,
            "linear_rival": self.linear_rival,
            "frontier": frontier,
        }
        return {"log": self.log.as_dict()} | span | content


@dataclass(frozen=True, eq=False)
class JudgedMaterial:
    """The rows of a comparison, and what a model predicts for its policies in them.

    `checkpoint` is the one whose answers are used, None if there is none or it was trained on the rows; `log` are the
    rows as estimators read them, `q_logged` float64[n, O] the predictions for the logged arms. `served` is what is
    serving, with its predictions.
    """

    rows: LearningRows
    soundness: LogSoundness
    withheld: int
    checkpoint: Checkpoint | None
    log: LoggedBandit
    requirements: EvidenceRequirements
    q_logged: NDArray[np.float64] | None
    baseline: PredictedPolicy
    policies: tuple[PredictedPolicy, ...]
    serving: ServingPolicy
    served: PredictedPolicy | None


def compare(
    question: Question,
    frame: pl.DataFrame,
    shelf: CheckpointShelf,
    experiment: Experiment,
    explorations: Mapping[str, ExplorationSettings] | None = None,
    tallies: KeptTallies | None = None,
) -> Answer:
    """Evaluate one policy against the baseline: production for weights, the logged policy for a catalogue.

    `explorations` are the kept exploration settings by digest; rows are read with their own. With the kept `tallies`
    the log's completeness is judged too. Units with too many rows are left out (`heavy_units`).

    A checkpoint's values are used as the model of DM and DR only for rows on which it was not trained. Raises
    NothingToLearn if there are no such rows or no checkpoint, TablePolicyError for an unusable file, UnknownArm, and
    BoxNotLearnt for a learned policy over a box without a checkpoint.
    """
    if experiment.action_space.kind == "box":
        return _compare_box(question, frame, shelf, experiment, (explorations, tallies))
    return judge_answer(judged_material(question, frame, shelf, experiment, explorations, tallies), experiment)


def judged_material(
    question: Question,
    frame: pl.DataFrame,
    shelf: CheckpointShelf,
    experiment: Experiment,
    explorations: Mapping[str, ExplorationSettings] | None = None,
    tallies: KeptTallies | None = None,
) -> JudgedMaterial:
    """What `compare` computes its answer from, of an experiment with a grid or a catalogue; raises the same errors."""
    arm = None
    if question.policy.startswith(ARM):
        arm = arm_named(question.policy.removeprefix(ARM), experiment.action_space)
    checkpoint = question.checkpoint or newest_checkpoint(shelf, experiment)
    _require_usable(question, checkpoint, experiment)
    contract = _contract(checkpoint, experiment)
    rows = rows_since(frame, _since(question, frame, checkpoint, experiment), experiment, contract, explorations)
    rows, soundness = _judged_log(rows, frame, experiment, (question.forgotten, tallies))
    rows = rows.take(comparable_places(rows, experiment, arm))
    rows, withheld = _shown(rows, unjudged_from(shelf, experiment, question.last_run))
    if rows.count == 0:
        raise NothingToLearn(
            f"no row could explore both production and {question.policy}, but {withheld} that the gate judges first",
            fix="wait for more, or give --all",
        )
    trusted = None if question.every_row else checkpoint
    if trusted is not None and trusted.manifest.answer != "values" and question.policy != LEARNED:
        trusted = None  # only values are a model of the rewards
    weights = ObjectiveWeights.in_force(experiment) if checkpoint is None else judged_by(checkpoint, experiment)
    serving = serving_policy(question.serving, rows, experiment, contract, weights)
    q_logged, predicted = asked_policies(question.policy, question.layout, rows, trusted, experiment, serving)
    served = None if serving.policy is None else predicted.pop()
    baseline, *policies = predicted
    return JudgedMaterial(
        rows=rows,
        soundness=soundness,
        withheld=withheld,
        checkpoint=trusted,
        log=rows.logged_bandit(experiment),
        requirements=requirements_of(experiment, question.level),
        q_logged=q_logged,
        baseline=baseline,
        policies=tuple(policies),
        serving=serving,
        served=served,
    )


def judge_answer(material: JudgedMaterial, experiment: Experiment) -> Answer:
    """The estimates, over all rows and inside each cohort."""
    rows, log, requirements, baseline = material.rows, material.log, material.requirements, material.baseline
    policies = [each.policy for each in material.policies]
    report = evaluate_predicted(log, material.policies, baseline, material.q_logged, requirements)
    report = with_mips(report, log, policies, baseline.policy, shared_features(rows, experiment))
    first, serving = material.policies[0], material.serving
    over = compare_with_serving(log, first, serving, material.served, material.q_logged, requirements)
    watched, times = rows.watched_bandit(experiment), rows.event_times
    beside = None if watched is None else evaluate_policies(watched, policies, baseline.policy, None, requirements)
    version = None if material.checkpoint is None else material.checkpoint.version
    span = int(times[0]), int(times[-1])
    answer = _answer(material.soundness, (report, beside), span, version, experiment, over)
    rival = None if material.checkpoint is None else told_rival(material.checkpoint)
    return replace(answer, withheld=material.withheld, linear_rival=rival)


def _judged_log(
    rows: LearningRows, frame: pl.DataFrame, experiment: Experiment, counted: tuple[ForgottenCounts, KeptTallies | None]
) -> tuple[LearningRows, LogSoundness]:
    """The rows without heavy units, and the verdict on their log."""
    heavy, first = heavy_units(rows), int(rows.event_times[0])
    forgotten, tallies = counted
    kept = without_units(rows, heavy)
    control = control_rows(frame, (first, 2**62), experiment)
    log = ExploredLog(kept, (), control, heavy, StoredCounts.of(frame).with_forgotten(forgotten))
    return kept, judge_log(log, experiment, KeptTallies() if tallies is None else tallies)


def _shown(rows: LearningRows, unjudged: int | None) -> tuple[LearningRows, int]:
    """The rows without the judging half of those that the gate has yet to judge, and how many these are.

    `unjudged` is the event time (epoch ms) from which it has; None if no checkpoint was made yet.
    """
    if unjudged is None:
        return rows, 0
    hidden = judging_half(rows) & (rows.event_times >= unjudged)
    return rows.take(~hidden), int(hidden.sum())


def _answer(
    log: LogSoundness,
    reports: tuple[EvaluationReport, EvaluationReport | None],
    span: tuple[int, int],
    version: str | None,
    experiment: Experiment,
    serving: ServingComparison,
) -> Answer:
    report, watched = reports
    beside, over = None if watched is None else shown_report(watched, log), shown_comparison(serving, log)
    return Answer(log, shown_report(report, log), *span, version, beside, experiment.judged_online, over)


def _require_usable(question: Question, checkpoint: Checkpoint | None, experiment: Experiment) -> None:
    """Raises NothingToLearn unless the question can be answered with the checkpoint, or without one."""
    if checkpoint is not None and why_unfit(checkpoint.manifest, experiment) is not None:
        raise NothingToLearn(
            f"checkpoint {checkpoint.version} was trained for another experiment file, or by a newer Trimtab",
            fix="name a checkpoint that `trimtab learn` made for this file",
        )
    if question.policy == LEARNED and (checkpoint is None or question.every_row):
        raise NothingToLearn(
            "this machine has no checkpoint of this experiment"
            if checkpoint is None
            else "--all includes rows on which the policy was trained",
            fix="run `trimtab learn` first" if checkpoint is None else "omit --all: only later rows can judge it",
        )


def _compare_box(
    question: Question,
    frame: pl.DataFrame,
    shelf: CheckpointShelf,
    experiment: Experiment,
    kept: tuple[Mapping[str, ExplorationSettings] | None, KeptTallies | None],
) -> Answer:
    """The same for a box, whose only arm with weights of its own is production."""
    policy, space = question.policy, experiment.action_space
    checkpoint = question.checkpoint or newest_checkpoint(shelf, experiment) if policy == LEARNED else None
    if checkpoint is not None:
        _require_usable(question, checkpoint, experiment)
    if policy.startswith(ARM):
        if arm_named(policy.removeprefix(ARM), space) != space.production_arm:
            raise UnknownArm(
                f"{policy} is any vector of the box", fix="give a Parquet file with one row of weights, or production"
            )
        policy = PRODUCTION
    contract = _contract(checkpoint, experiment)
    rows = rows_since(frame, _since(question, frame, checkpoint, experiment), experiment, contract, kept[0])
    rows, soundness = _judged_log(rows, frame, experiment, (question.forgotten, kept[1]))
    requirements = requirements_of(experiment, question.level)
    judged = judge_box(policy, rows, question.layout, experiment, requirements, _propose(checkpoint, experiment))
    version = None if checkpoint is None else checkpoint.version
    span = int(rows.event_times[0]), int(rows.event_times[-1])
    served = serving_policy(question.serving, rows, experiment, contract, ObjectiveWeights.in_force(experiment))
    over = ServingComparison(served.version, served.detail)
    return _answer(soundness, judged, span, version, experiment, over)


def _propose(checkpoint: Checkpoint | None, experiment: Experiment) -> Callable[[LearningRows], Proposals] | None:
    """What a checkpoint proposes for rows; None without one."""
    if checkpoint is None:
        return None
    weights = judged_by(checkpoint, experiment)
    return lambda rows: learned_proposals(GraphAnswers(checkpoint, rows, weights), experiment)


def newest_checkpoint(shelf: CheckpointShelf, experiment: Experiment) -> Checkpoint | None:
    """The newest checkpoint on this machine that can score this experiment's requests; raises CheckpointBroken."""
    for version in reversed(shelf.versions()):
        if why_unfit(shelf.manifest(version), experiment) is None:
            return shelf.load(version)
    return None


def _contract(checkpoint: Checkpoint | None, experiment: Experiment) -> FeatureContract:
    """The encoding that the checkpoint was trained with; the newest if there is no checkpoint."""
    if checkpoint is None:
        return FeatureContract.from_experiment(experiment)
    return known_contracts(experiment)[checkpoint.manifest.feature_contract]


def _since(question: Question, frame: pl.DataFrame, checkpoint: Checkpoint | None, experiment: Experiment) -> int:
    """The first event time to evaluate on: after everything on which the checkpoint was trained."""
    if question.every_row or frame.height == 0:
        return EVERY_ROW
    if checkpoint is not None:
        return holdout_start(checkpoint.manifest)
    newest = frame["request_event_time"].max()
    assert isinstance(newest, int)
    return window_bounds(newest, experiment).holdout_from
