"""Everything that a report on a policy says, computed once; the page and the JSON are two forms of it.

It is about the rows that `trimtab evaluate` would show: those on which the checkpoint was not trained, without the ones
that the gate has yet to judge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from event_schemas.errors import TrimtabError
from event_schemas.experiment import Experiment
from event_schemas.exploration import ExplorationSettings
from feature_contract import known_contracts
from learner.checkpoints.checkpoint import Checkpoint, CheckpointShelf
from learner.checkpoints.run_history import budget_in_force
from learner.examples.learner_errors import NothingToLearn
from learner.examples.learning_rows import LearningRows
from learner.examples.row_outcomes import counted_outcomes
from learner.examples.tally_shelf import KeptTallies
from learner.examples.training_window import rows_since
from learner.judgement.calibration import Calibration, calibrate
from learner.judgement.candidate_policies import alpha_grid
from learner.judgement.engagement_deciles import EngagementDeciles, engagement_deciles
from learner.judgement.evaluation import ESTIMATOR, SELECTION_LEVEL
from learner.judgement.gate import GateEvidence, GateVerdict, judge
from learner.judgement.gate_budget import GateBudget
from learner.judgement.head_contribution import HeadContribution, head_contribution, head_means
from learner.judgement.weight_use import WeightUse, weight_use
from learner.judgement.withheld_intervals import UNSOUND, shown_report
from learner.policy_comparison import (
    Answer,
    JudgedMaterial,
    Question,
    judge_answer,
    judged_material,
    newest_checkpoint,
)
from off_policy.estimates import json_number
from off_policy.evaluation_report import EvaluationReport, FrontierPoint
from off_policy.frontier_choices import FrontierChoices, frontier_choices
from off_policy.policy_evaluation import evaluate_predicted
from off_policy.simultaneous_level import SimultaneousLevel, lift_influences, simultaneous_level
from off_policy.target_policies import TargetPolicy
from off_policy.uplift_deciles import UpliftDecile, uplift_deciles

if TYPE_CHECKING:
    from learner.feature_isolation import IsolatedGroup

NOT_ISOLATED = "not computed: `trimtab report --isolate-features` fits a linear model to each group of features alone"


class ReportImpossible(TrimtabError):
    """No report can be made of this checkpoint or log."""


@dataclass(frozen=True)
class ReportOptions:
    """`head_weights`: the weights of heads that are not tuned; `seed` is that of the band's draws.

    `isolate` asks for the fits to single groups of features; `on_stage` hears what is computed next.
    """

    head_weights: Mapping[str, float] = field(default_factory=dict)
    isolate: bool = False
    seed: int = 0
    on_stage: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, eq=False)
class FrontierPart:
    """The frontier of all requests (`cohort` None) or of one cohort, with its band and candidates.

    `verdicts` are what the gate's rule says of each candidate's band; a report is no look of the gate.
    """

    cohort: str | None
    rows: int
    level: SimultaneousLevel
    report: EvaluationReport
    choices: FrontierChoices
    verdicts: tuple[GateVerdict, ...]

    @property
    def points(self) -> tuple[FrontierPoint, ...]:
        """By α; the lifts' intervals are the simultaneous band."""
        return self.report.frontier(ESTIMATOR)


@dataclass(frozen=True, eq=False)
class ChosenWeights:
    """What the policy of one α serves: the use of each weight, or for a catalogue none, and the Diversity of DRL-PUT.

    `most_common_share` is that of requests that get the most common arm, `most_common_arm`: 1 means that nothing is
    personal.
    """

    name: str
    alpha: float | None
    most_common_arm: str
    most_common_share: float
    uses: tuple[WeightUse, ...]


@dataclass(frozen=True, eq=False)
class ReportContent:
    """A report. Every part that cannot be given is empty, and `refusals` says under its name what it needs."""

    experiment: str
    checkpoint: Checkpoint
    answer: Answer
    frontiers: tuple[FrontierPart, ...]
    chosen: tuple[ChosenWeights, ...]
    calibration: Mapping[str, Calibration]
    uplift: Mapping[str, tuple[UpliftDecile, ...]]
    heads: HeadContribution
    engagement: Mapping[str, EngagementDeciles]
    isolation: tuple[IsolatedGroup, ...]
    budget: GateBudget
    refusals: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values: all that the page shows."""
        manifest = self.checkpoint.manifest
        return {
            "experiment": self.experiment,
            "version": manifest.version,
            "algorithm": manifest.algorithm,
            "window": dict(manifest.window),
            "gate": {
                "verdict": manifest.evaluation.get("verdict"),
                "reasons": manifest.evaluation.get("reasons"),
                "look": manifest.evaluation.get("look"),
                "budget": self.budget.as_dict(),
            },
            "linear_rival": self.answer.linear_rival,
            "evaluation": self.answer.as_dict(),
            "frontiers": [_frontier_as_dict(part) for part in self.frontiers],
            "chosen_weights": [
                asdict(each) | {"uses": [asdict(use) | {"advice": use.advice} for use in each.uses]}
                for each in self.chosen
            ],
            "calibration": {name: each.as_dict() for name, each in self.calibration.items()},
            "uplift": {name: [decile.as_dict() for decile in each] for name, each in self.uplift.items()},
            "head_contribution": asdict(self.heads),
            "engagement": {name: asdict(each) for name, each in self.engagement.items()},
            "isolation": [each.as_dict() for each in self.isolation],
            "refusals": dict(self.refusals),
        }


def report_content(
    question: Question,
    frame: pl.DataFrame,
    shelf: CheckpointShelf,
    experiment: Experiment,
    kept: tuple[Mapping[str, ExplorationSettings] | None, KeptTallies | None] = (None, None),
    options: ReportOptions | None = None,
) -> ReportContent:
    """The report on a learned policy; `kept` are the exploration settings by digest, and the tallies.

    Raises ReportImpossible for a box, for a checkpoint without values and for an objective whose rewards are all alike,
    and the errors of `policy_comparison.compare`.
    """
    chosen = ReportOptions() if options is None else options
    checkpoint = _usable_checkpoint(question, shelf, experiment)
    chosen.on_stage("reading the held-out rows and asking the checkpoint")
    explorations, tallies = kept
    asked = replace(question, checkpoint=checkpoint)
    material = judged_material(asked, frame, shelf, experiment, explorations, tallies)
    _require_two_rewards(material)
    chosen.on_stage(f"estimates on {material.rows.count:,} rows")
    answer = judge_answer(material, experiment)
    refusals: dict[str, str] = {}
    frontiers = _frontiers(material, experiment, refusals, np.random.default_rng(chosen.seed))
    chosen.on_stage("calibration, uplift, heads and engagement")
    uplift = _uplift(material)
    isolation: tuple[IsolatedGroup, ...] = ()
    if chosen.isolate and alpha_grid(experiment):
        isolation = _isolation(checkpoint, material, frame, experiment, (explorations, chosen))
    else:
        refusals["isolation"] = NOT_ISOLATED if alpha_grid(experiment) else refusals["frontier"]
    return ReportContent(
        experiment=experiment.name,
        checkpoint=checkpoint,
        answer=answer,
        frontiers=frontiers,
        chosen=tuple(_chosen_weights(each.policy, experiment) for each in material.policies),
        calibration=_calibration(material),
        uplift=uplift,
        heads=head_contribution(head_means(material.rows.frame), experiment.action_space, chosen.head_weights),
        engagement=_engagement(material.rows, experiment),
        isolation=isolation,
        budget=budget_in_force(shelf, experiment, question.last_run),
        refusals=refusals,
    )


def _usable_checkpoint(question: Question, shelf: CheckpointShelf, experiment: Experiment) -> Checkpoint:
    if experiment.action_space.kind == "box":
        raise ReportImpossible(
            "a report is about a policy that chooses among arms, and this experiment's action space is a box",
            fix="use `trimtab evaluate` for a policy that proposes weights in a box",
        )
    checkpoint = question.checkpoint or newest_checkpoint(shelf, experiment)
    if checkpoint is None:
        raise NothingToLearn("this machine has no checkpoint of this experiment", fix="run `trimtab learn` first")
    if checkpoint.manifest.answer != "values":
        raise ReportImpossible(
            f"checkpoint {checkpoint.version} answers with {checkpoint.manifest.answer}, not with values: it has no"
            " predictions to calibrate and no frontier to sweep",
            fix="use `trimtab evaluate` for it, or name with --policy a checkpoint of an algorithm with values",
        )
    return checkpoint


def _require_two_rewards(material: JudgedMaterial) -> None:
    log = material.log
    for column, name in enumerate(log.objectives):
        seen = log.reward[log.observed[:, column], column]
        if len(seen) and seen.min() < seen.max():
            continue
        what = f"in every one of {len(seen):,} held-out rows it is {seen[0]:g}" if len(seen) else "no row observed it"
        raise ReportImpossible(
            f"objective {name} says nothing about any policy: {what}",
            fix="check that its engagements arrive (`trimtab dead-letters list`), or wait for more explored rows",
        )


def _frontiers(
    material: JudgedMaterial, experiment: Experiment, refusals: dict[str, str], rng: np.random.Generator
) -> tuple[FrontierPart, ...]:
    """All rows first, then the cohorts; each band covers all lifts of its own part at once."""
    family = [each for each in material.policies if each.policy.alpha is not None]
    if not family:
        refusals["frontier"] = (
            "α trades two objectives against each other, and this experiment has"
            f" {len(experiment.objective_names)}: there is no frontier over α"
            if not alpha_grid(experiment)
            else "the checkpoint is pinned to one preference, so it is never served under another α"
        )
        return ()
    parts, log = list[FrontierPart](), material.log
    for cohort in (None, *log.cohort_names):
        rows = None if cohort is None else log.cohort_rows(cohort)
        influences = lift_influences(log, family, material.baseline, material.q_logged, rows)
        level = simultaneous_level(influences, SELECTION_LEVEL, rng)
        inside = log if cohort is None else replace(log, observed=log.observed & log.cohort_rows(cohort)[:, None])
        requirements = replace(material.requirements, level=level.each, cohort_level=None)
        report = evaluate_predicted(
            replace(inside, cohort=None), family, material.baseline, material.q_logged, requirements
        )
        shown = shown_report(report, material.soundness)
        count = log.rows if rows is None else int(rows.sum())
        choices = frontier_choices(shown.frontier(ESTIMATOR), log.objectives)
        verdicts = tuple(judge(GateEvidence(each.point.lifts), experiment.gate) for each in choices.candidates)
        parts.append(FrontierPart(cohort, count, level, shown, choices, verdicts))
    return tuple(parts)


def _chosen_weights(policy: TargetPolicy, experiment: Experiment) -> ChosenWeights:
    space = experiment.action_space
    totals = policy.arm_totals()
    shares = np.zeros(space.arms)
    shares[: len(totals)] = totals / policy.rows
    top = int(shares.argmax())
    return ChosenWeights(policy.name, policy.alpha, space.arm_names[top], float(shares[top]), weight_use(shares, space))


def _calibration(material: JudgedMaterial) -> dict[str, Calibration]:
    assert material.q_logged is not None, "a checkpoint with values predicts every row"
    log, found = material.log, {}
    for column, name in enumerate(log.objectives):
        seen = log.observed[:, column]
        found[name] = calibrate(material.q_logged[seen, column], log.reward[seen, column])
    return found


def _uplift(material: JudgedMaterial) -> dict[str, tuple[UpliftDecile, ...]]:
    """Of the first policy, which is the one under the preference in force."""
    policy, baseline = material.policies[0], material.baseline
    found = {}
    for name in material.log.objectives:
        deciles = uplift_deciles(material.log, policy, baseline, name, material.requirements)
        if material.soundness.faults:
            deciles = tuple(
                replace(each, lift=replace(each.lift, interval=None, relative_interval=None, refusal=UNSOUND))
                for each in deciles
            )
        found[name] = deciles
    return found


def _engagement(rows: LearningRows, experiment: Experiment) -> dict[str, EngagementDeciles]:
    counted = counted_outcomes(rows.frame["outcome_objectives"], experiment.objective_names)
    return {
        each.name: engagement_deciles(counted[each.name][0], rows.units, counted[each.name][1], each.clip)
        for each in experiment.optimised
    }


def _isolation(
    checkpoint: Checkpoint,
    material: JudgedMaterial,
    frame: pl.DataFrame,
    experiment: Experiment,
    of: tuple[Mapping[str, ExplorationSettings] | None, ReportOptions],
) -> tuple[IsolatedGroup, ...]:
    """Fits to the checkpoint's own training span, judged on the report's rows."""
    explorations, options = of
    contract = known_contracts(experiment)[checkpoint.manifest.feature_contract]
    window = checkpoint.manifest.window
    training = rows_since(frame, int(window["train_from"]), experiment, contract, explorations)
    training = training.take(training.event_times < int(window["train_to"]))
    if training.count == 0:
        raise NothingToLearn(
            f"no row of the training span of {checkpoint.version} is stored any more",
            fix="omit --isolate-features, or name a newer checkpoint with --policy",
        )

    def told(group: str) -> None:
        options.on_stage(f"a linear fit to {group}: {training.count:,} rows")

    from learner.feature_isolation import isolated_groups  # it loads torch

    return isolated_groups(training, material.rows, (experiment, contract), material.requirements, told)


def _frontier_as_dict(part: FrontierPart) -> dict[str, Any]:
    choices = part.choices
    return {
        "cohort": part.cohort,
        "rows": part.rows,
        "band": asdict(part.level),
        "points": [_point(point, part.report) for point in part.points],
        "candidates": [
            {"role": each.role, "alpha": each.point.alpha, "rule": verdict.as_dict()}
            for each, verdict in zip(choices.candidates, part.verdicts, strict=True)
        ],
        "knee": None if choices.knee is None else choices.knee.alpha,
        "refusal": choices.refusal,
    }


def _point(point: FrontierPoint, report: EvaluationReport) -> dict[str, Any]:
    """The lifts, with the rows and the effective sample size of the estimate behind each."""
    estimates = {name: found.estimates[ESTIMATOR] for name, found in report.report_of(point.name).objectives.items()}
    return {
        "alpha": point.alpha,
        "on_front": point.on_front,
        "proposable": point.proposable,
        "lifts": {
            name: lift.as_dict() | {"n": estimates[name].n, "ess": json_number(estimates[name].ess)}
            for name, lift in point.lifts.items()
        },
    }
