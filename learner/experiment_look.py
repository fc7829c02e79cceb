"""One look at an online experiment, from the examples stored on this machine: what was found, and what it says.

The learner and the command line read experiments by this, so they never disagree about one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from event_schemas.experiment import Experiment
from learner.examples.exploration_shelf import ExplorationShelf
from learner.examples.stored_files import EXAMPLES_FOLDER, EXPLORATIONS_FOLDER
from learner.online_arms import OnlineArms, OnlineComparison, compare_online_arms
from off_policy.arm_comparison import ArmDesign
from off_policy.estimates import Interval, json_number
from off_policy.sequential_reading import ArmReading, SequentialRule, read_arms
from policy_store.decisions import CanaryRun
from policy_store.records import CANARY_PREFIX, CheckpointManifest, OnlineExperiment

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class ExperimentLook:
    """What the arms of `plan` showed, and by `rule` what that says of each but the control."""

    plan: OnlineExperiment
    rule: SequentialRule
    found: OnlineComparison
    arms: Mapping[str, ArmReading]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return self.found.as_dict() | {
            "sequential": {
                "error": self.rule.error,
                "margin": self.rule.margin,
                "level": self.rule.level,
                "arms": {name: each.as_dict() for name, each in self.arms.items()},
            },
            "guardrails": self.guardrails,
        }

    @property
    def guardrails(self) -> dict[str, dict[str, str]]:
        """Guardrail → arm → held, harmed or undecided; one that is not counted is undecided."""
        return {
            guardrail: {
                name: each.outcomes[guardrail].state.value if guardrail in each.outcomes else "undecided"
                for name, each in self.arms.items()
            }
            for guardrail in self.rule.guardrails
        }

    def online_lifts(self, arm: str) -> dict[str, Any]:
        """The lift of every outcome in one arm, with the interval that holds at every look and that of one look."""
        outcomes = self.found.comparison.arms[arm].outcomes
        return {
            name: {
                "lift": json_number(outcome.lift),
                "interval": _ends(self.arms[arm].outcomes[name].interval),
                "one_look": _ends(outcome.lift_interval),
            }
            for name, outcome in outcomes.items()
        }


def look_at(
    plan: OnlineExperiment, directory: Path, experiment: Experiment, error: float, level: float = LEVEL
) -> ExperimentLook:
    """Look at all requests from the start of `plan` to its end that are stored in the learner's `directory` by now.

    `error` is the budget of the experiment (see `error_budget_of`). Raises StoreDamaged.
    """
    gate = experiment.gate
    rule = SequentialRule(plan.guardrails, error, gate.margin, level)
    design = ArmDesign({arm.name: arm.share for arm in plan.arms}, plan.control, level, gate.min_positives)
    question = OnlineArms(plan.id, design, plan.start, plan.planned_end)
    explorations = ExplorationShelf(directory / EXPLORATIONS_FOLDER).load()
    found = compare_online_arms(question, directory / EXAMPLES_FOLDER, experiment, explorations)
    return ExperimentLook(plan, rule, found, read_arms(found.comparison, rule, found.cohorts))


def error_budget_of(experiment_id: str, experiment: Experiment, runs: list[CanaryRun]) -> float:
    """`gate.error_budget` for an experiment that people started; for a canary, its share of that.

    `runs` are the canaries that have run. A budget of half or more is taken for a little less than half: one-sided
    bounds do not go beyond.
    """
    budget = min(experiment.gate.error_budget, 0.49)
    version = experiment_id.removeprefix(CANARY_PREFIX)
    if version == experiment_id:
        return budget
    return budget * next((run.budget_share for run in reversed(runs) if run.version == version), 1.0)


def offline_lifts(manifest: CheckpointManifest) -> dict[str, Any]:
    """The lifts by which the gate judged a checkpoint, from its manifest; empty if it has none."""
    found: dict[str, Any] = {}
    for part in ("lifts", "guardrail_lifts"):
        lifts = manifest.evaluation.get(part)
        for name, lift in (lifts if isinstance(lifts, dict) else {}).items():
            interval = lift.get("relative_interval") or {}
            ends = [interval.get("lower"), interval.get("upper")] if interval else None
            found[name] = {"lift": lift.get("relative"), "interval": ends, "level": interval.get("level")}
    return found


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.lower, interval.upper]
