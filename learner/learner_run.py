"""One run of the learner, from stored examples to a published checkpoint."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from event_schemas.errors import TrimtabError
from event_schemas.experiment import Experiment
from event_schemas.exploration import ExplorationSettings
from feature_contract import FeatureContract, ModelInput
from learner.checkpoints.checkpoint import CHECKPOINTS_FOLDER, Checkpoint, CheckpointShelf
from learner.checkpoints.checkpoint_building import FinishedRun, build_checkpoint
from learner.checkpoints.gate_account import GateAccount
from learner.checkpoints.graph_answers import GraphAnswers, why_unfit
from learner.checkpoints.publishing import Published, Publisher
from learner.checkpoints.run_history import PlannedRun, RunHistory
from learner.checkpoints.serving_answers import serving_policy
from learner.checkpoints.serving_checkpoint import ServingCheckpoint, find_serving
from learner.checkpoints.serving_moves import why_people_decide
from learner.checkpoints.warm_start import Start, start_from
from learner.examples.exploration_reading import KeptExplorations, require_one_unit
from learner.examples.exploration_shelf import ExplorationShelf
from learner.examples.forgotten_users import forgotten_counts, forgotten_decisions
from learner.examples.heavy_units import heavy_units, without_units
from learner.examples.learner_errors import BoxNotLearnt
from learner.examples.learning_rows import LearningRows
from learner.examples.slice_tallies import SliceTallies
from learner.examples.stored_counts import StoredCounts
from learner.examples.stored_files import EXAMPLES_FOLDER, EXPLORATIONS_FOLDER, TALLIES_FILE, stored_examples
from learner.examples.tally_shelf import KeptTallies, TallyShelf, sources_digest
from learner.examples.training_window import (
    LearningWindow,
    build_window,
    control_rows,
    require_disjoint,
    rows_since,
    window_bounds,
)
from learner.examples.waiting import no_examples_yet
from learner.examples.window_examples import window_examples
from learner.judgement.evaluation import Candidate, Evaluation, evaluate_window
from learner.judgement.gate import GateVerdict, Verdict, judge, stated_verdict
from learner.judgement.gate_budget import GateBudget, Look
from learner.judgement.log_judgement import ExploredLog, judge_log
from learner.judgement.look_reasons import LOOK_NOT_DUE, judged_lifts, not_due, with_look_reasons
from learner.judgement.predictions import Score
from learner.judgement.serving_comparison import ServingPolicy
from learner.network.algorithm import make_algorithm
from learner.network.linear_rival import LinearRival, compare_with_linear, rows_set_aside
from learner.network.training_progress import OnProgress, TrainingReport
from learner.run_metrics import show_log, show_run
from monitoring.metrics import LearnerMetrics
from policy_store.records import ObjectiveWeights, judged_under

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RunObserver:
    """Callbacks for progress: `stage` is called at each step with a short text, `training` after each epoch.

    `done` is called at the end of the stages ingest, window, train, evaluate, gate and publish with the number of rows:
    those read, trained on, held out, judged, and asked for their moves.
    """

    stage: Callable[[str, str], None] = lambda stage, detail: None  # noqa: ARG005  the silent observer
    training: OnProgress = lambda _: None
    done: Callable[[str, int], None] = lambda stage, rows: None  # noqa: ARG005  the silent observer


@dataclass(frozen=True, eq=False)
class RunReport:
    """The result of a run; without `trained` no held-out row was new, and the newest checkpoint stands as it is.

    `evaluation` is that of a trained checkpoint, with the log's verdict and the comparison with what was serving, and
    `rival` compares it with a linear fit.
    """

    checkpoint: Checkpoint
    verdict: GateVerdict
    published: Published | None
    seconds_training: float
    evaluation: Evaluation | None
    rival: LinearRival | None = None

    @property
    def trained(self) -> bool:
        """Whether a checkpoint was trained."""
        return self.evaluation is not None

    @property
    def settled(self) -> bool:
        """Whether a look was taken or none is due; else tallies that are yet to come may allow one on the same rows."""
        looked = self.checkpoint.manifest.evaluation.get("look") is not None
        return looked or any(reason.code == LOOK_NOT_DUE for reason in self.verdict.reasons)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        manifest = self.checkpoint.manifest
        return {
            "log": None if self.evaluation is None else self.evaluation.soundness.as_dict(),
            "version": manifest.version,
            "trained": self.trained,
            "parent": manifest.parent,
            "verdict": self.verdict.verdict.value,
            "reasons": [reason.sentence for reason in self.verdict.reasons],
            "reason_codes": [reason.code for reason in self.verdict.reasons],
            "channel": None if self.published is None else self.published.channel,
            "revision": None if self.published is None else self.published.revision,
            "held": None if self.published is None else self.published.held,
            "window": manifest.window,
            "lifts": manifest.evaluation["lifts"],
            "guardrail_lifts": manifest.evaluation["guardrail_lifts"],
            "serving": None if self.evaluation is None else self.evaluation.serving.as_dict(),
            "proposal": manifest.evaluation["proposal"],
            "linear_rival": None if self.rival is None else self.rival.as_dict(),
            "seconds_training": self.seconds_training,
        }


@dataclass(frozen=True, eq=False)
class Learner:
    """The stage, wired together; its files are in `directory`; without a `publisher` nothing is published.

    `explorations` reads the exploration settings that producers wrote; without it those kept in `directory` are used.
    `serving` reads the checkpoint that is serving, with which the new one is compared.
    """

    experiment: Experiment
    directory: Path
    clock: Callable[[], int]
    publisher: Publisher | None = None
    metrics: LearnerMetrics | None = None
    observer: RunObserver = field(default_factory=RunObserver)
    tallies: Callable[[], SliceTallies] = lambda: SliceTallies({})
    explorations: Callable[[], KeptExplorations] | None = None
    serving: Callable[[], ServingCheckpoint] = ServingCheckpoint

    def run(self, preference: ObjectiveWeights, *, warm: bool = True) -> RunReport:
        """Window → train → export → evaluate → judge → save → publish.

        If no held-out row is new and no setting changed, nothing is trained, and the newest checkpoint stands. With a
        publisher the run has the learner's lease from before training until it has published.
        Raises NothingToLearn, UnitChanged, BoxNotLearnt, LineageOverlap, ExportMismatch, CheckpointBroken, LeaseLost
        and the errors of publishing; what was published before stays unchanged then.
        """
        explorations = self._explored()
        if self.experiment.action_space.kind == "box":
            raise self._box_not_learnt(explorations)
        with self.right():
            return self._run(explorations, preference, warm)

    def right(self) -> AbstractContextManager[object]:
        """The learner's lease for a block; nothing without a publisher. Raises LeaseLost and the store's errors."""
        return nullcontext() if self.publisher is None else self.publisher.lease.granted()

    def _run(
        self, explorations: Mapping[str, ExplorationSettings], preference: ObjectiveWeights, warm: bool
    ) -> RunReport:
        account = None if self.publisher is None else GateAccount.read(self.publisher)
        history = RunHistory(self.shelf)
        if account is not None:
            history = account.history(self.shelf)
            account = account.caught_up(history)
        window = self._window(explorations)
        tallies = self._tallied(window.stored)
        sources = sources_digest(tallies, explorations)
        budget = history.budget(self.experiment)
        published = self._publish_pass(history, budget, window.holdout, preference)
        standing = history.standing(PlannedRun(window, self.experiment, preference, budget, sources)) if warm else None
        if standing is not None:
            return self._stand(standing, published, (window.holdout, preference))
        start = self._start(window, warm)
        self.observer.stage("train", f"{window.training.count} examples, {start.why}")
        training, rival = self._fit(start, window.training)
        self.observer.stage("export", "ONNX graph, verified against the network")
        graph = start.algorithm.export(window.training.inputs)
        self.observer.stage("evaluate", f"{window.holdout.count} held-out examples")
        look = budget.look_at(window.bounds.holdout_from, window.bounds.holdout_to)
        candidate = self._candidate(start, window.holdout.inputs, preference, look)
        evaluation, verdict, budget = self._judge(window, candidate, budget, tallies)
        self.observer.done("evaluate", window.holdout.count)
        number = history.next_run()
        finished = FinishedRun(number, window, start, training, graph, evaluation, verdict, budget, sources, rival)
        now = self.clock()
        checkpoint = build_checkpoint(finished, self.experiment, self.contract, now, self.shelf.next_time(now))
        if account is not None:
            account.record_run(number, checkpoint.manifest, budget)
        self.observer.stage("gate", f"{verdict.verdict.value}: {verdict.reasons[0].sentence}")
        self.observer.done("gate", 0 if evaluation.judgement is None else evaluation.judgement.rows)
        self.shelf.save(checkpoint)
        published = self._publish(checkpoint, verdict, window.holdout, (candidate.score, preference))
        if self.metrics is not None:
            show_run(self.metrics, finished, self.clock())
        return RunReport(checkpoint, verdict, published, training.seconds, evaluation, rival)

    def _fit(self, start: Start, rows: LearningRows) -> tuple[TrainingReport, LinearRival | None]:
        """Trains, and compares the result with a linear fit on rows that neither saw."""
        aside = rows_set_aside(start.algorithm, rows, (self.experiment, self.contract))
        fitted = rows.take(~aside) if aside.any() else rows
        training = start.algorithm.fit(fitted, self.observer.training)
        rival = compare_with_linear(start.algorithm, rows, aside, (self.experiment, self.contract))
        self.observer.done("train", fitted.count)
        return training, rival

    def _judge(
        self, window: LearningWindow, candidate: Candidate, budget: GateBudget, tallies: SliceTallies
    ) -> tuple[Evaluation, GateVerdict, GateBudget]:
        """The evaluation, the verdict, and the gate's budget after it. Without a look nothing is spent."""
        look, bounds = candidate.look, window.bounds
        evaluation = evaluate_window(window, candidate, self.experiment, tallies)
        if look is None:
            return evaluation, not_due(budget, bounds.holdout_from), budget
        evidence = evaluation.evidence
        verdict = with_look_reasons(judge(evidence, self.experiment.gate), budget, look, evidence)
        if not verdict.looked:
            return evaluation.without_look(), verdict, budget
        return (
            evaluation,
            verdict,
            budget.after(look, bounds.holdout_to, verdict.verdict.value, judged_lifts(evidence), evidence.over),
        )

    def _publish_pass(
        self, history: RunHistory, budget: GateBudget, rows: LearningRows, preference: ObjectiveWeights
    ) -> Published | None:
        """Publishes the pass of the last look if no channel has heard of it, because publishing failed or was off.

        Its look is spent, so no later run could give it again, also that of another learner, whose checkpoint is read
        from the store. One under other weights, or for other arms or features, is left alone.
        """
        publisher, last = self.publisher, budget.last
        if publisher is None or last is None or last.version is None or last.verdict != Verdict.PASS.value:
            return None
        if publisher.announced(last.version):
            return None
        try:
            checkpoint = history.load(last.version)
            told = checkpoint.manifest.evaluation
            verdict = stated_verdict(told)
            if not judged_under(preference, told) or why_unfit(checkpoint.manifest, self.experiment) is not None:
                return None
            answers = GraphAnswers(checkpoint, rows, preference)
        except (TrimtabError, KeyError, TypeError, ValueError) as fault:
            log.warning("a pass that was never published cannot be read", version=last.version, fault=str(fault))
            return None
        self.observer.stage("pass", f"{last.version} passed, and no channel has heard of it")
        return self._publish(checkpoint, verdict, rows, (answers.score, preference))

    def _stand(
        self, checkpoint: Checkpoint, published: Published | None, asked: tuple[LearningRows, ObjectiveWeights]
    ) -> RunReport:
        """The newest checkpoint with the verdict that it has; published if the store does not have it yet."""
        version, verdict = checkpoint.version, stated_verdict(checkpoint.manifest.evaluation)
        self.observer.stage("gate", f"no held-out example is new: nothing is trained, and {version} stands")
        if published is not None and published.version != version:
            published = None
        if self.publisher is not None and version not in self.publisher.store.versions():
            answers = GraphAnswers(checkpoint, *asked)
            published = self._publish(checkpoint, verdict, asked[0], (answers.score, asked[1]))
        if self.metrics is not None:
            self.metrics.last_success.set(self.clock() / 1000)
        return RunReport(checkpoint, verdict, published, 0.0, None)

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

    @property
    def exploration_shelf(self) -> ExplorationShelf:
        """The exploration settings of this machine."""
        return ExplorationShelf(self.directory / EXPLORATIONS_FOLDER)

    def _window(self, explorations: Mapping[str, ExplorationSettings]) -> LearningWindow:
        self.observer.stage("window", "reading the segments")
        frame = window_examples(self.examples_directory, self.experiment)
        window = build_window(frame, self.experiment, self.contract, explorations)
        directory = self.examples_directory
        stored = window.stored.with_forgotten(forgotten_counts(directory))
        window = replace(window, stored=stored, forgotten=forgotten_decisions(directory))
        if window.previous is not None:
            self.observer.stage("window", f"weights served before: {window.previous}")
        self.observer.done("window", window.training.count + window.holdout.count)
        return window

    def _explored(self) -> Mapping[str, ExplorationSettings]:
        """The kept exploration settings by digest; raises UnitChanged."""
        kept = KeptExplorations(self.exploration_shelf.load()) if self.explorations is None else self.explorations()
        if self.metrics is not None:
            self.metrics.left_out_explorations.set(kept.unreadable)
        require_one_unit(kept.settings.values(), self.experiment)
        return kept.settings

    def _box_not_learnt(self, explorations: Mapping[str, ExplorationSettings]) -> BoxNotLearnt:
        """Checks the log of a box, and says what came out with what can be done. Raises NothingToLearn."""
        self.observer.stage("window", "reading the segments")
        frame = stored_examples(self.examples_directory)
        if frame.height == 0:
            raise no_examples_yet(self.experiment)
        bounds = window_bounds(int(frame["request_event_time"].to_numpy().max()), self.experiment)
        rows = rows_since(frame, bounds.train_from, self.experiment, self.contract, explorations)
        control, heavy = control_rows(frame, (bounds.train_from, 2**62), self.experiment), heavy_units(rows)
        stored = StoredCounts.of(frame).with_forgotten(forgotten_counts(self.examples_directory))
        log = ExploredLog(without_units(rows, heavy), (), control, heavy, stored)
        soundness = judge_log(log, self.experiment, KeptTallies(self._tallied(log.stored)))
        self.observer.stage("check", soundness.detail)
        if self.metrics is not None:
            show_log(self.metrics, soundness)
        algorithm = self.experiment.learner.algorithm
        return BoxNotLearnt(
            f"the algorithm {algorithm!r} scores arms and cannot learn a box of weights; {rows.count} explored examples"
            f" are kept, and the check of their log gives p = {soundness.p_value:.3g} ({soundness.detail})",
            fix="keep `trimtab learn` running, which stores the examples, and judge policies of your own with"
            " `trimtab evaluate --policy FILE`; or give the weights steps, which makes them a grid",
        )

    def _tallied(self, stored: StoredCounts) -> SliceTallies:
        """The tallies, read after the examples and kept with the time of the newest one."""
        tallies = self.tallies()
        TallyShelf(self.directory / TALLIES_FILE).save(tallies, stored.last)
        if self.metrics is not None:
            for reason, records in tallies.left_out.items():
                self.metrics.left_out_tallies.labels(reason=reason).set(records)
        return tallies

    def _publish(
        self,
        checkpoint: Checkpoint,
        verdict: GateVerdict,
        rows: LearningRows,
        answers: tuple[Score, ObjectiveWeights],
    ) -> Published | None:
        """Publishes, after asking whether a pass moves what is served further than it may without people."""
        publisher = self.publisher
        if publisher is None:
            return None
        held = None
        if verdict.verdict is Verdict.PASS and self.experiment.gate.approval == "auto":

            def serving(asked: LearningRows) -> ServingPolicy:
                found = find_serving(publisher.store, publisher.rule, self.shelf)
                return serving_policy(found, asked, self.experiment, self.contract, answers[1])

            held = why_people_decide(rows, answers, serving, self.experiment)
        self.observer.stage("publish", f"{checkpoint.version}, {verdict.verdict.value}")
        published = publisher.publish(checkpoint, verdict, held)
        self.observer.stage("publish", f"{checkpoint.version} to {published.channel or 'no channel'}")
        self.observer.done("publish", rows.count)
        return published

    def _start(self, window: LearningWindow, warm: bool) -> Start:
        make = partial(make_algorithm, self.experiment, self.contract)
        if not warm:
            start = Start(make(), None, (), "cold: requested")
        else:
            start = start_from(make, self.shelf, window.bounds, (self.experiment, self.contract))
        require_disjoint(window.bounds, start.lineage)
        return start

    def _candidate(
        self, start: Start, held_out: ModelInput, preference: ObjectiveWeights, look: Look | None
    ) -> Candidate:
        """What was trained, beside the checkpoint that it would replace."""
        found = self.serving()

        def serving(rows: LearningRows) -> ServingPolicy:
            return serving_policy(found, rows, self.experiment, self.contract, preference)

        def score(rows: NDArray[np.int64]) -> NDArray[np.float32]:
            return start.algorithm.score(held_out.take(rows))

        return Candidate(score, preference, look, serving)
