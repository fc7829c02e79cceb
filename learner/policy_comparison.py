"""Evaluates a policy on stored examples outside a run: learned, uniform, production, or a table from a file."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract, ModelInput, known_contracts
from learner.checkpoints.checkpoint import Checkpoint, CheckpointShelf
from learner.checkpoints.warm_start import holdout_start
from learner.examples.learner_errors import NothingToLearn
from learner.examples.learning_rows import LearningRows
from learner.examples.training_window import rows_since, window_bounds
from learner.judgement.candidate_policies import (
    PRODUCTION,
    UNIFORM,
    alpha_family,
    baseline_policy,
    preferred_policy,
    uniform_over,
)
from learner.judgement.evaluation import requirements_of
from learner.judgement.table_policy import TableLayout, read_table, table_policy
from learner.network.onnx_export import OUTPUT, graph_session
from off_policy.evaluation_report import EvaluationReport
from off_policy.policy_evaluation import evaluate_policies
from off_policy.target_policies import TargetPolicy, constant_policy
from policy_store.records import CheckpointManifest, ObjectiveWeights

LEARNED = "learned"
EVERY_ROW = -(2**62)
SCORING_ROWS = 1024


@dataclass(frozen=True, eq=False)
class Question:
    """What to evaluate: `policy` is learned, uniform, production or a Parquet file; `every_row`: all stored rows.

    The values of `checkpoint` are used; None means the newest checkpoint on this machine.
    """

    policy: str
    every_row: bool = False
    level: float = 0.95
    layout: TableLayout = field(default_factory=TableLayout)
    checkpoint: Checkpoint | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """The estimates over rows between two event times (epoch ms); `checkpoint` is the one whose values were used."""

    report: EvaluationReport
    first: int
    last: int
    checkpoint: str | None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        span = {"rows": self.report.rows, "first_event_time": self.first, "last_event_time": self.last}
        frontier = [
            {"alpha": point.alpha, "on_front": point.on_front, "proposable": point.proposable}
            for point in self.report.frontier("snips")
        ]
        return span | {"checkpoint": self.checkpoint, "report": self.report.as_dict(), "frontier": frontier}


def compare(question: Question, frame: pl.DataFrame, shelf: CheckpointShelf, experiment: Experiment) -> Answer:
    """Evaluate one policy against the baseline: production for a grid, the logged policy for a catalogue.

    A checkpoint's values are used as the model of DM and DR only for rows on which it was not trained. Raises
    NothingToLearn if there are no such rows or no checkpoint, TablePolicyError for an unusable file.
    """
    checkpoint = question.checkpoint or newest_checkpoint(shelf, experiment)
    if checkpoint is not None and not _fits(checkpoint.manifest, experiment):
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
    contract = _contract(checkpoint, experiment)
    rows = rows_since(frame, _since(question, frame, checkpoint, experiment), experiment, contract)
    trusted = None if question.every_row else checkpoint
    q = None if trusted is None else graph_values(trusted, rows.inputs)
    report = evaluate_policies(
        rows.logged_bandit(experiment.objective_names),
        _policies(question, rows, q, experiment),
        baseline_policy(rows, experiment),
        q,
        requirements_of(experiment, question.level),
    )
    times = rows.event_times
    return Answer(report, int(times[0]), int(times[-1]), None if trusted is None else trusted.version)


def newest_checkpoint(shelf: CheckpointShelf, experiment: Experiment) -> Checkpoint | None:
    """The newest checkpoint on this machine that can score this experiment's requests; raises CheckpointBroken."""
    return next(
        (shelf.load(each) for each in reversed(shelf.versions()) if _fits(shelf.manifest(each), experiment)), None
    )


def _fits(manifest: CheckpointManifest, experiment: Experiment) -> bool:
    wanted = (experiment.name, experiment.action_space.digest, list(experiment.objective_names))
    found = (manifest.experiment, manifest.action_space, manifest.objectives)
    return found == wanted and manifest.feature_contract in known_contracts(experiment)


def _contract(checkpoint: Checkpoint | None, experiment: Experiment) -> FeatureContract:
    """The encoding that the checkpoint was trained with; the newest if there is no checkpoint."""
    if checkpoint is None:
        return FeatureContract.from_experiment(experiment)
    return known_contracts(experiment)[checkpoint.manifest.feature_contract]


def graph_values(checkpoint: Checkpoint, inputs: ModelInput) -> NDArray[np.float64]:
    """float64[n, arms, objectives], computed with the exported graph as in serving nodes."""
    session = graph_session(checkpoint.blobs["policy.onnx"])
    parts = [
        session.run([OUTPUT], inputs.take(slice(start, start + SCORING_ROWS)).feeds())[0]
        for start in range(0, inputs.rows, SCORING_ROWS)
    ]
    return np.concatenate(parts).astype(np.float64)


def _since(question: Question, frame: pl.DataFrame, checkpoint: Checkpoint | None, experiment: Experiment) -> int:
    """The first event time to evaluate on: after everything on which the checkpoint was trained."""
    if question.every_row or frame.height == 0:
        return EVERY_ROW
    if checkpoint is not None:
        return holdout_start(checkpoint.manifest)
    newest = frame["request_event_time"].max()
    assert isinstance(newest, int)
    return window_bounds(newest, experiment).holdout_from


def _policies(
    question: Question, rows: LearningRows, q: NDArray[np.float64] | None, experiment: Experiment
) -> list[TargetPolicy]:
    space = experiment.action_space
    if question.policy == LEARNED:
        assert q is not None
        eligible, cohorts = rows.eligible(space.arms), rows.frame["request_cohort"].to_list()
        preferred = preferred_policy(q, ObjectiveWeights.in_force(experiment), cohorts, eligible)
        return [preferred, *alpha_family(q, experiment, eligible)]
    if question.policy == UNIFORM:
        return [uniform_over(rows, experiment)]
    if question.policy == PRODUCTION:
        return [constant_policy(PRODUCTION, space.production_arm, rows.count)]
    path = Path(question.policy)
    return [table_policy(path.stem, read_table(path, question.layout, space), rows, question.layout)]
