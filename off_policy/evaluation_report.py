"""The result of an evaluation: policies x objectives x cohorts, convertible to JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from off_policy.estimates import Estimate, from_json_number, json_number
from off_policy.intervals import EvidenceRequirements
from off_policy.numeric_arrays import FloatArray
from off_policy.paired_lift import PairedLift
from off_policy.pareto_frontier import pareto_front, proposable


@dataclass(frozen=True, slots=True)
class PolicyObjective:
    """One policy on one objective: its estimates by estimator name and its lift over the baseline.

    `lift` is the paired SNIPS lift; `dr_lift` is None if the evaluation had no reward model.
    """

    estimates: Mapping[str, Estimate]
    lift: PairedLift
    dr_lift: PairedLift | None = None

    @property
    def judged_lift(self) -> PairedLift:
        """The lift that decisions are based on: by DR, or by SNIPS without a reward model."""
        return self.lift if self.dr_lift is None else self.dr_lift

    def as_dict(self) -> dict[str, Any]:
        return {
            "estimates": {name: estimate.as_dict() for name, estimate in self.estimates.items()},
            "lift": self.lift.as_dict(),
            "dr_lift": None if self.dr_lift is None else self.dr_lift.as_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PolicyObjective:
        return cls(
            estimates={name: Estimate.from_dict(item) for name, item in data["estimates"].items()},
            lift=PairedLift.from_dict(data["lift"]),
            dr_lift=None if data["dr_lift"] is None else PairedLift.from_dict(data["dr_lift"]),
        )


@dataclass(frozen=True, slots=True)
class PolicyReport:
    """One policy: results over all rows (`objectives`) and inside each cohort (`cohorts`).

    agreement          mean overlap with the baseline's decisions, 0 to 1
    most_common_share  share of requests that get the most common arm; near 1 there is no personalisation
    """

    name: str
    alpha: float | None
    agreement: float
    most_common_share: float
    objectives: Mapping[str, PolicyObjective]
    cohorts: Mapping[str, Mapping[str, PolicyObjective]]

    def scope(self, cohort: str | None = None) -> Mapping[str, PolicyObjective]:
        """The objectives over all rows, or inside one cohort."""
        return self.objectives if cohort is None else self.cohorts[cohort]

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "alpha": self.alpha,
            "agreement": json_number(self.agreement),
            "most_common_share": json_number(self.most_common_share),
            "objectives": _objectives_as_dict(self.objectives),
            "cohorts": {name: _objectives_as_dict(scope) for name, scope in self.cohorts.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PolicyReport:
        return cls(
            name=data["name"],
            alpha=data["alpha"],
            agreement=from_json_number(data["agreement"]),
            most_common_share=from_json_number(data["most_common_share"]),
            objectives=_objectives_from_dict(data["objectives"]),
            cohorts={name: _objectives_from_dict(scope) for name, scope in data["cohorts"].items()},
        )


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """One policy as a point whose coordinates are its lifts, one per objective.

    `lifts` are relative to the baseline (0.02 is +2 %) and NaN if undefined; an interval is None if
    it was refused.
    """

    name: str
    alpha: float | None
    lifts: Mapping[str, PairedLift]
    on_front: bool
    proposable: bool


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """All policies against one baseline on one log of `rows` explored decisions."""

    objectives: tuple[str, ...]
    rows: int
    requirements: EvidenceRequirements
    baseline: PolicyReport
    policies: tuple[PolicyReport, ...]

    def report_of(self, name: str) -> PolicyReport:
        """The report of the policy `name`; raises KeyError if it was not evaluated."""
        for report in (*self.policies, self.baseline):
            if report.name == name:
                return report
        raise KeyError(name)

    def frontier(self, estimator: str = "snips", cohort: str | None = None) -> tuple[FrontierPoint, ...]:
        """Every evaluated policy that has an alpha, sorted by alpha, with its "snips" or "dr" lifts."""
        family = sorted(
            (report for report in self.policies if report.alpha is not None),
            key=lambda report: report.alpha or 0.0,
        )
        lifts = [_lifts(report.scope(cohort), estimator) for report in family]
        points: FloatArray = np.array(
            [[lift[name].relative for name in self.objectives] for lift in lifts], dtype=np.float64
        ).reshape(len(family), len(self.objectives))
        front, offers = pareto_front(points), proposable(points)
        return tuple(
            FrontierPoint(report.name, report.alpha, lifts[i], bool(front[i]), bool(offers[i]))
            for i, report in enumerate(family)
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; undefined numbers are null."""
        return {
            "objectives": list(self.objectives),
            "rows": self.rows,
            "requirements": asdict(self.requirements),
            "baseline": self.baseline.as_dict(),
            "policies": [report.as_dict() for report in self.policies],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EvaluationReport:
        return cls(
            objectives=tuple(data["objectives"]),
            rows=data["rows"],
            requirements=EvidenceRequirements(**data["requirements"]),
            baseline=PolicyReport.from_dict(data["baseline"]),
            policies=tuple(PolicyReport.from_dict(item) for item in data["policies"]),
        )


def _lifts(scope: Mapping[str, PolicyObjective], estimator: str) -> dict[str, PairedLift]:
    chosen: dict[str, PairedLift] = {}
    for name, result in scope.items():
        lift = result.dr_lift if estimator == "dr" else result.lift
        if lift is None:
            raise KeyError(f"no DR lift of {name}: the evaluation had no reward model")
        chosen[name] = lift
    return chosen


def _objectives_as_dict(scope: Mapping[str, PolicyObjective]) -> dict[str, Any]:
    return {name: result.as_dict() for name, result in scope.items()}


def _objectives_from_dict(data: Mapping[str, Any]) -> dict[str, PolicyObjective]:
    return {name: PolicyObjective.from_dict(item) for name, item in data.items()}
