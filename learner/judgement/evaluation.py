"""Evaluates a trained policy on the hold-out: selection on one half of the users, judgement on the other half.

People and the proposal use only the selection half; the gate uses only the judging half. Users stay in the same half in
all runs, so a choice based on one half is never judged on it. What the judging half earned is estimated only in a look
(`gate_budget`), and shown only after its verdict.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from learner.examples.learning_rows import LearningRows
from learner.examples.slice_tallies import SliceTallies
from learner.examples.tally_shelf import KeptTallies
from learner.examples.training_window import LearningWindow
from learner.judgement.calibration import Calibration, calibrate
from learner.judgement.candidate_policies import (
    PREFERENCE,
    alpha_family,
    alpha_grid,
    baseline_policy,
    comparable_places,
    preferred_policy,
    uniform_over,
)
from learner.judgement.declared_distributions import shared_features
from learner.judgement.gate import GateEvidence
from learner.judgement.gate_budget import Look
from learner.judgement.log_judgement import ExploredLog, judge_log
from learner.judgement.log_soundness import LogSoundness
from learner.judgement.predictions import Choose, Predictions, Score, predict
from learner.judgement.reference_sketches import head_shift
from learner.judgement.serving_comparison import (
    NO_LOOK,
    NOT_ASKED,
    ServingComparison,
    ServingOn,
    ServingPolicy,
    compare_with_serving,
    with_watched,
)
from learner.judgement.withheld_intervals import shown_comparison, shown_report
from off_policy.evaluation_report import EvaluationReport, FrontierPoint, PolicyObjective
from off_policy.intervals import EvidenceRequirements
from off_policy.logged_bandit import LoggedBandit
from off_policy.marginal_weights import with_mips
from off_policy.paired_lift import PairedLift
from off_policy.policy_evaluation import evaluate_policies, evaluate_predicted
from off_policy.target_policies import TargetPolicy
from policy_store.records import ObjectiveWeights

SELECTION_LEVEL = 0.95
ESTIMATOR = "dr"
"""Fixed before any data is seen: doubly robust, unbiased like SNIPS and more precise if requests differ."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result, for the gate (`evidence`) and for people (`as_dict`, a checkpoint's evaluation.json).

    `judgement` is that on the judging half; None if no look was taken. `watched` is the same on signals and guardrails,
    which no network predicts; None also if there are none. Those of `judged_online` are in no judgement here. `serving`
    compares the policy under the preference in force with the checkpoint that is serving, on the judging half.
    """

    selection: EvaluationReport
    judgement: EvaluationReport | None
    watched: EvaluationReport | None
    guardrails: tuple[str, ...]
    proposal: float | None
    calibration: Mapping[str, Calibration]
    soundness: LogSoundness
    head_shift: Mapping[str, float]
    preference: ObjectiveWeights
    look: Look | None
    judged_online: tuple[str, ...] = ()
    serving: ServingComparison = field(default_factory=ServingComparison)

    def without_look(self) -> Self:
        """The same without anything that the judging half earned."""
        return replace(self, judgement=None, watched=None, look=None, serving=ServingComparison(detail=NO_LOOK))

    @property
    def evidence(self) -> GateEvidence:
        """The gate's evidence: the policy under the preference in force, on the judging half; no lifts without one.

        A refresh of what serves is held against that, if all lifts over it have an interval, and must not harm
        production either; else against production alone.
        """
        judged, serving = None, self.serving
        if self.judgement is not None and self.preference.declared:
            judged = self.judgement.report_of(PREFERENCE)
        evidence = GateEvidence(
            lifts={} if judged is None else _lifts(judged.objectives),
            cohort_lifts={} if judged is None else {name: _lifts(scope) for name, scope in judged.cohorts.items()},
            guardrail_lifts={} if judged is None else self._guardrail_lifts(),
            log_p_value=self.soundness.p_value,
            log_faults=tuple(fault.sentence for fault in self.soundness.faults),
            completeness_doubt=self.soundness.doubt,
            head_shift=self.head_shift,
            preference_declared=self.preference.declared,
            judged_online=self.judged_online,
        )
        if not evidence.lifts or not serving.judges(self.guardrails):
            return evidence
        return replace(
            evidence,
            lifts=serving.lifts,
            cohort_lifts=serving.cohort_lifts,
            guardrail_lifts={name: serving.watched_lifts[name] for name in self.guardrails},
            over=f"{serving.version}",
            production_lifts={**evidence.lifts, **evidence.guardrail_lifts},
            production_cohort_lifts=evidence.cohort_lifts,
        )

    def _guardrail_lifts(self) -> dict[str, PairedLift]:
        if self.watched is None:
            return {}
        lifts = _lifts(self.watched.report_of(PREFERENCE).objectives)
        return {name: lifts[name] for name in self.guardrails}

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; undefined numbers are null."""
        return {
            "soundness": self.soundness.as_dict(),
            "estimator": ESTIMATOR,
            "selection": self.selection.as_dict(),
            "judgement": None if self.judgement is None else self.judgement.as_dict(),
            "watched": None if self.watched is None else self.watched.as_dict(),
            "judged_online": list(self.judged_online),
            "frontier": [_point(point) for point in self.selection.frontier(ESTIMATOR)],
            "proposal": self.proposal,
            "preference": self.preference.as_dict(),
            "look": None if self.look is None else asdict(self.look),
            "serving": self.serving.as_dict(),
            "calibration": {name: result.as_dict() for name, result in self.calibration.items()},
            "head_shift": dict(self.head_shift),
        }


@dataclass(frozen=True, eq=False)
class Candidate:
    """What is evaluated: `score` gives the predicted values of hold-out rows, for their positions; the preference.

    `serving` answers what is serving under that preference, which the candidate would replace. Without a `look` only
    the selection half is evaluated.
    """

    score: Score
    preference: ObjectiveWeights
    look: Look | None
    serving: ServingOn = lambda _: ServingPolicy(None, None, NOT_ASKED)


def evaluate_window(
    window: LearningWindow, candidate: Candidate, experiment: Experiment, tallies: SliceTallies | None = None
) -> Evaluation:
    """Evaluate on `window.holdout` a candidate that was trained on `window.training`.

    `tallies` are the producers' counts of decisions; without them the log's completeness is unverified. On an unsound
    log nothing has an interval. Rows that could not explore the baseline are tested with the log, but judge nothing
    (`comparable_places`).
    """
    kept = KeptTallies() if tallies is None else KeptTallies(tallies)
    log = ExploredLog(window.holdout, (window.training,), window.control, window.heavy, window.stored)
    soundness = judge_log(log, experiment, kept)
    rows, score = _part(window.holdout, candidate.score, comparable_places(window.holdout, experiment))
    judging = judging_half(rows)
    selecting = _part(rows, score, np.flatnonzero(~judging))
    logged = selecting[0].logged_bandit(experiment)
    selected, selection = _select(selecting, logged, experiment)
    proposal = propose_alpha(selection.frontier(ESTIMATOR))
    judgement, watched, serving = None, None, ServingComparison(detail=NO_LOOK)
    if candidate.look is not None:
        half = _part(rows, score, np.flatnonzero(judging))
        judgement, watched, serving = _judge(half, experiment, candidate, proposal)
    return Evaluation(
        selection=shown_report(selection, soundness),
        judgement=None if judgement is None else shown_report(judgement, soundness),
        watched=None if watched is None else shown_report(watched, soundness),
        guardrails=tuple(
            each.name for each in experiment.counted if each.role == "guardrail" and each.per == "request"
        ),
        proposal=None if soundness.faults else proposal,
        calibration=_calibration(logged, selected.logged),
        soundness=soundness,
        head_shift=head_shift(window.training.frame, window.holdout.frame),
        preference=candidate.preference,
        look=candidate.look,
        judged_online=experiment.judged_online,
        serving=shown_comparison(serving, soundness),
    )


def judging_half(rows: LearningRows) -> NDArray[np.bool_]:
    """bool[n]: rows of the judging half, by a hash of the user id or, if that names nobody, of the exploration unit."""
    names = rows.unit_names
    return np.array([blake2b(f"judge\0{name}".encode(), digest_size=1).digest()[0] < 128 for name in names], dtype=bool)


def propose_alpha(points: tuple[FrontierPoint, ...]) -> float | None:
    """The α to propose to people: of those on the frontier without a loss, the one whose smallest lift is largest."""
    offers = [point for point in points if point.proposable and point.alpha is not None]
    if not offers:
        return None
    best = max(offers, key=lambda point: min(lift.relative for lift in point.lifts.values()))
    return best.alpha


def requirements_of(experiment: Experiment, level: float) -> EvidenceRequirements:
    """The experiment's minimum of evidence, with intervals of coverage `level`."""
    gate = experiment.gate
    return EvidenceRequirements(
        level=level, min_matched_rows=max(gate.min_matched_rows, 2), min_positives=gate.min_positives
    )


def _part(rows: LearningRows, score: Score, places: NDArray[np.int64]) -> tuple[LearningRows, Score]:
    return rows.take(places), lambda positions: score(places[positions])


def _select(
    half: tuple[LearningRows, Score], log: LoggedBandit, experiment: Experiment
) -> tuple[Predictions, EvaluationReport]:
    rows, grid = half[0], alpha_grid(experiment)

    def choose(q: NDArray[np.float64], part: slice) -> list[TargetPolicy]:
        return alpha_family(q, experiment, rows.eligible(q.shape[1], part), grid)

    return _report(half, log, choose, experiment, requirements_of(experiment, SELECTION_LEVEL))


def _judge(
    half: tuple[LearningRows, Score], experiment: Experiment, candidate: Candidate, proposal: float | None
) -> tuple[EvaluationReport, EvaluationReport | None, ServingComparison]:
    """(the judgement, the same on what is only watched, the comparison with what is serving)."""
    assert candidate.look is not None
    rows, grid = half[0], [] if proposal is None else [proposal]
    cohorts, serving = rows.frame["request_cohort"].to_list(), candidate.serving(rows)

    def choose(q: NDArray[np.float64], part: slice) -> list[TargetPolicy]:
        eligible = rows.eligible(q.shape[1], part)
        preferred = preferred_policy(q, candidate.preference, cohorts[part], eligible)
        return [preferred, *alpha_family(q, experiment, eligible, grid)]

    checks = (len(experiment.cohorts) + 1) * len(experiment.objective_names)  # all undeclared cohorts are one
    asked = requirements_of(experiment, candidate.look.level)
    asked = replace(asked, cohort_level=candidate.look.level_of_each(checks))
    served = serving.policy
    log = rows.logged_bandit(experiment)
    predictions, report = _report(half, log, choose, experiment, asked, served)
    predicted = None if served is None else predictions.stated[-1]
    preferred = predictions.chosen[0]
    compared = compare_with_serving(log, preferred, serving, predicted, predictions.logged, asked)
    watched = rows.watched_bandit(experiment)
    if watched is None:
        return report, None, compared
    policies = [each.policy for each in predictions.chosen]
    beside = evaluate_policies(watched, policies, predictions.stated[0].policy, None, asked)
    return report, beside, with_watched(compared, watched, preferred.policy, serving, asked)


def _report(
    half: tuple[LearningRows, Score],
    log: LoggedBandit,
    choose: Choose,
    experiment: Experiment,
    requirements: EvidenceRequirements,
    served: TargetPolicy | None = None,
) -> tuple[Predictions, EvaluationReport]:
    """The predictions for `served` are the last of those that are stated; it is not in the report."""
    rows, score = half
    stated = [baseline_policy(rows, experiment), uniform_over(rows, experiment)]
    predictions = predict(rows, score, choose, stated if served is None else [*stated, served], experiment)
    baseline, uniform = predictions.stated[:2]
    policies = [*predictions.chosen, uniform]
    report = evaluate_predicted(log, policies, baseline, predictions.logged, requirements)
    judged, shared = [each.policy for each in policies], shared_features(rows, experiment)
    return predictions, with_mips(report, log, judged, baseline.policy, shared)


def _calibration(log: LoggedBandit, logged: NDArray[np.float64]) -> dict[str, Calibration]:
    """On the selection half: `logged` float64[n, objectives] are what is predicted for the logged arms of `log`."""
    return {
        name: calibrate(logged[log.observed[:, column], column], log.reward[log.observed[:, column], column])
        for column, name in enumerate(log.objectives)
    }


def _lifts(objectives: Mapping[str, PolicyObjective]) -> dict[str, PairedLift]:
    return {name: result.judged_lift for name, result in objectives.items()}


def _point(point: FrontierPoint) -> dict[str, Any]:
    return {
        "name": point.name,
        "alpha": point.alpha,
        "lifts": {name: lift.as_dict() for name, lift in point.lifts.items()},
        "on_front": point.on_front,
        "proposable": point.proposable,
    }
