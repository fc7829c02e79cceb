"""The results of the demo's experiments: the content of summary.json and report.html."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drift_detection.head_drift import DriftVerdict
from off_policy.evaluation_report import EvaluationReport, PolicyReport


@dataclass(frozen=True)
class NodeOutcome:
    """One serving node: which checkpoint it picked up from which channel, and how many decisions it logged."""

    node: str
    channel: str
    version: str
    result: str
    notes: tuple[str, ...]
    decisions: int
    drift: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**self.__dict__, "notes": list(self.notes), "drift": dict(self.drift)}


@dataclass(frozen=True)
class Funnel:
    """Decisions that Kafka acknowledged, the examples that the join made of them, and rewards by objective.

    `fates` counts input events; `reconciled` says whether the independent reference join agrees.
    """

    decisions: int
    examples: int
    lost: int
    duplicated: int
    pending: int
    events: int
    fates: Mapping[str, int]
    rewarded: Mapping[str, int]
    slices: Mapping[str, int]
    reconciled: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**self.__dict__, "fates": dict(self.fates), "rewarded": dict(self.rewarded)}


@dataclass(frozen=True)
class LearnOutcome:
    """The learner's run: the checkpoint, its verdict with the reasons, and the channel it went to."""

    version: str
    verdict: str
    reason_codes: tuple[str, ...]
    reasons: tuple[str, ...]
    channel: str | None
    window: Mapping[str, Any]
    seconds_training: float

    @classmethod
    def of(cls, report: Mapping[str, Any]) -> LearnOutcome:
        """Reads the output of `trimtab learn --once --json`."""
        return cls(
            version=report["version"],
            verdict=report["verdict"],
            reason_codes=tuple(report["reason_codes"]),
            reasons=tuple(report["reasons"]),
            channel=report["channel"],
            window=report["window"],
            seconds_training=report["seconds_training"],
        )

    @property
    def verdict_sentence(self) -> str:
        """The verdict with its reason codes, such as `inconclusive (insufficient evidence)`."""
        codes = ", ".join(dict.fromkeys(code.replace("_", " ") for code in self.reason_codes))
        return f"{self.verdict} ({codes})" if codes else self.verdict


@dataclass(frozen=True)
class EvaluationView:
    """One evaluation to show: a title, the report, and the names of the policies to show."""

    title: str
    report: EvaluationReport
    policies: tuple[str, ...]

    def chosen(self) -> list[PolicyReport]:
        """The baseline, then the chosen policies."""
        return [self.report.baseline, *(self.report.report_of(name) for name in self.policies)]


@dataclass(frozen=True)
class DriftView:
    """A drift check to draw: the verdict, and the reference sketches and live values behind it."""

    verdict: DriftVerdict
    reference: Mapping[str, Any]
    live: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class ServedTraffic:
    """Traffic through the nodes at one α: the weights that the POLICY slice got, and their true lift."""

    alpha: float
    decisions: int
    policy_decisions: int
    mean_weights: Mapping[str, float]
    true_lift: Mapping[str, float]

    @classmethod
    def of(cls, alpha: float, report: Mapping[str, Any]) -> ServedTraffic:
        """Reads the output of `trimtab simulate --json`."""
        return cls(
            alpha=alpha,
            decisions=report["decisions"],
            policy_decisions=report["slices"].get("POLICY", 0),
            mean_weights=report["mean_weights"].get("POLICY", {}),
            true_lift=report["true_lift"],
        )


@dataclass(frozen=True)
class ExperimentOutcome:
    """All results of one experiment."""

    act: int
    experiment: str
    title: str
    funnel: Funnel
    learned: LearnOutcome
    nodes: Sequence[NodeOutcome]
    evaluations: Sequence[EvaluationView]
    selection: EvaluationReport | None = None
    drift: DriftView | None = None
    head_shift: Mapping[str, float] = field(default_factory=dict)
    shadowed: Mapping[str, int] = field(default_factory=dict)
    traffic: Sequence[ServedTraffic] = ()
    exploration_rate: float | None = None

    def estimates(self) -> list[dict[str, Any]]:
        """Every estimate shown, one row per policy, objective and estimator."""
        return [
            {"experiment": self.experiment, "policy": policy.name, "objective": objective, **estimate.as_dict()}
            for view in self.evaluations
            for policy in view.chosen()
            for objective, result in policy.objectives.items()
            for estimate in result.estimates.values()
        ]
