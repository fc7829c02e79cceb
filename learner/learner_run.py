"""One run of the learner, from stored examples to a published checkpoint."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract
from learner.checkpoints.checkpoint import CHECKPOINTS_FOLDER, Checkpoint, CheckpointShelf
from learner.checkpoints.checkpoint_building import FinishedRun, build_checkpoint
from learner.checkpoints.publishing import Published, Publisher
from learner.checkpoints.warm_start import Start, next_look, start_from
from learner.examples.learning_rows import COLUMNS
from learner.examples.segment_store import read_segments
from learner.examples.slice_tallies import SliceTallies
from learner.examples.training_window import LearningWindow, build_window, require_disjoint
from learner.judgement.evaluation import Candidate, evaluate_window
from learner.judgement.gate import GateVerdict, judge
from learner.network.algorithm import make_algorithm
from learner.network.training import OnProgress
from monitoring.metrics import LearnerMetrics
from policy_store.records import ObjectiveWeights

EXAMPLES_FOLDER = "examples"


@dataclass(frozen=True, slots=True)
class RunObserver:
    """Callbacks for progress: `stage` is called at each step with a short text, `training` after each epoch."""

    stage: Callable[[str, str], None] = lambda stage, detail: None  # noqa: ARG005  the silent observer
    training: OnProgress = lambda _: None


@dataclass(frozen=True, eq=False)
class RunReport:
    """The result of a run."""

    checkpoint: Checkpoint
    verdict: GateVerdict
    published: Published | None
    seconds_training: float

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        manifest = self.checkpoint.manifest
        return {
            "version": manifest.version,
            "parent": manifest.parent,
            "verdict": self.verdict.verdict.value,
            "reasons": [reason.sentence for reason in self.verdict.reasons],
            "reason_codes": [reason.code for reason in self.verdict.reasons],
            "channel": None if self.published is None else self.published.channel,
            "revision": None if self.published is None else self.published.revision,
            "window": manifest.window,
            "lifts": manifest.evaluation["lifts"],
            "proposal": manifest.evaluation["proposal"],
            "seconds_training": self.seconds_training,
        }


@dataclass(frozen=True, eq=False)
class Learner:
    """The stage, wired together; its files are in `directory`; without a `publisher` nothing is published."""

    experiment: Experiment
    directory: Path
    clock: Callable[[], int]
    publisher: Publisher | None = None
    metrics: LearnerMetrics | None = None
    observer: RunObserver = field(default_factory=RunObserver)
    tallies: Callable[[], SliceTallies] = lambda: SliceTallies({})

    def run(self, preference: ObjectiveWeights, *, warm: bool = True) -> RunReport:
        """Window → train → export → evaluate → judge → save → publish.

        Raises NothingToLearn, LineageOverlap, ExportMismatch, CheckpointBroken and the errors of publishing; what was
        published before stays unchanged then.
        """
        window = self._window()
        start = self._start(window, warm)
        self.observer.stage("train", f"{window.training.count} examples, {start.why}")
        training = start.algorithm.fit(window.training, self.observer.training)
        self.observer.stage("export", "ONNX graph, verified against the network")
        graph = start.algorithm.export(window.training.inputs)
        self.observer.stage("evaluate", f"{window.holdout.count} held-out examples")
        q = start.algorithm.score(window.holdout.inputs).astype(np.float64)
        candidate = Candidate(q, preference, next_look(self.shelf))
        evaluation = evaluate_window(window, candidate, self.experiment, self._tallied())
        verdict = judge(evaluation.evidence, self.experiment.gate)
        self.observer.stage("gate", f"{verdict.verdict.value}: {verdict.reasons[0].sentence}")
        finished = FinishedRun(window, start, training, graph, evaluation, verdict)
        now = self.clock()
        checkpoint = build_checkpoint(finished, self.experiment, self.contract, now, self.shelf.next_time(now))
        self.shelf.save(checkpoint)
        published = None if self.publisher is None else self.publisher.publish(checkpoint, verdict)
        self._count(finished)
        return RunReport(checkpoint, verdict, published, training.seconds)

    @property
    def contract(self) -> FeatureContract:
        """The features of the experiment."""
        return FeatureContract.from_experiment(self.experiment)

    @property
    def shelf(self) -> CheckpointShelf:
        """The checkpoints of this machine."""
        return CheckpointShelf(self.directory / CHECKPOINTS_FOLDER)

    @property
    def examples_directory(self) -> Path:
        """The segments of this machine."""
        return self.directory / EXAMPLES_FOLDER

    def _window(self) -> LearningWindow:
        self.observer.stage("window", "reading the segments")
        frame = stored_examples(self.examples_directory)
        return build_window(frame, self.experiment, self.contract)

    def _tallied(self) -> SliceTallies:
        tallies = self.tallies()
        if self.metrics is not None:
            for reason, records in tallies.left_out.items():
                self.metrics.left_out_tallies.labels(reason=reason).set(records)
        return tallies

    def _start(self, window: LearningWindow, warm: bool) -> Start:
        make = partial(make_algorithm, self.experiment, self.contract)
        if not warm:
            start = Start(make(), None, (), "cold: requested")
        else:
            start = start_from(make, self.shelf, window.bounds, (self.experiment, self.contract))
        require_disjoint(window.bounds, start.lineage)
        return start

    def _count(self, run: FinishedRun) -> None:
        if self.metrics is None:
            return
        self.metrics.window_examples.labels(split="train").set(run.window.training.count)
        self.metrics.window_examples.labels(split="holdout").set(run.window.holdout.count)
        for reason, examples in run.window.left_out.items():
            self.metrics.left_out.labels(reason=reason).set(examples)
        self.metrics.gate.labels(verdict=run.verdict.verdict.value, reason=run.verdict.reasons[0].code).inc()
        if run.evaluation.soundness.p_value is not None:
            self.metrics.propensity_pvalue.set(run.evaluation.soundness.p_value)
        self.metrics.last_success.set(self.clock() / 1000)


def stored_examples(directory: Path) -> pl.DataFrame:
    """The columns of the segments that the learner reads; an empty frame if there are no segments."""
    return read_segments(directory, list(COLUMNS))
