"""The result of an estimator: a value, the evidence for it, and an interval or the reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from off_policy.importance_weights import Evidence


class RefusalCode(StrEnum):
    """Why there is no interval, or why the interval must not be used for a decision."""

    TOO_FEW_MATCHED_ROWS = "too_few_matched_rows"
    TOO_FEW_UNITS = "too_few_units"
    TOO_FEW_POSITIVES = "too_few_positives"
    TOO_FEW_NEGATIVES = "too_few_negatives"
    BIASED_ESTIMATOR = "biased_estimator"
    UNEVEN_PROPENSITIES = "uneven_propensities"
    NOT_BINARY = "not_binary"
    TRAINED_ON_THESE_ROWS = "trained_on_these_rows"
    UNDEFINED = "undefined"
    UNSOUND_LOG = "unsound_log"


@dataclass(frozen=True, slots=True)
class Refusal:
    code: RefusalCode
    reason: str


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided confidence interval; `method` names how it was computed, `level` is its coverage."""

    lower: float
    upper: float
    level: float
    method: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """The value of one policy on one objective by one estimator.

    `value` and `standard_error` are NaN if undefined (no matched row). `interval` is None if none is
    valid, and `refusal` says why. An interval may also come with a refusal: the exact binomial
    interval is valid at any size, but below the evidence minimum it must not be used for a decision.
    """

    estimator: str
    value: float
    standard_error: float
    interval: Interval | None
    refusal: Refusal | None
    n: int
    matched_rows: int
    positives: int
    ess: float
    ess_inf: float

    @property
    def gateable(self) -> bool:
        """Whether the interval may be used for a decision."""
        return self.interval is not None and self.refusal is None

    def as_dict(self) -> dict[str, Any]:
        return {
            "estimator": self.estimator,
            "value": json_number(self.value),
            "standard_error": json_number(self.standard_error),
            "interval": interval_as_dict(self.interval),
            "refusal": refusal_as_dict(self.refusal),
            "gateable": self.gateable,
            "n": self.n,
            "matched_rows": self.matched_rows,
            "positives": self.positives,
            "ess": json_number(self.ess),
            "ess_inf": json_number(self.ess_inf),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Estimate:
        return cls(
            estimator=data["estimator"],
            value=from_json_number(data["value"]),
            standard_error=from_json_number(data["standard_error"]),
            interval=interval_from_dict(data["interval"]),
            refusal=refusal_from_dict(data["refusal"]),
            n=data["n"],
            matched_rows=data["matched_rows"],
            positives=data["positives"],
            ess=from_json_number(data["ess"]),
            ess_inf=from_json_number(data["ess_inf"]),
        )


def build_estimate(
    estimator: str,
    point: tuple[float, float],
    evidence: Evidence,
    outcome: tuple[Interval | None, Refusal | None],
) -> Estimate:
    """An Estimate from `point` = (value, standard error), its evidence and `outcome` = (interval, refusal)."""
    return Estimate(
        estimator=estimator,
        value=point[0],
        standard_error=point[1],
        interval=outcome[0],
        refusal=outcome[1],
        n=evidence.n,
        matched_rows=evidence.matched_rows,
        positives=evidence.positives,
        ess=evidence.ess,
        ess_inf=evidence.ess_inf,
    )


def json_number(value: float) -> float | None:
    """The value, or None if it is NaN or infinite, which JSON cannot express."""
    return float(value) if math.isfinite(value) else None


def from_json_number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def interval_as_dict(interval: Interval | None) -> dict[str, Any] | None:
    if interval is None:
        return None
    return {
        "lower": interval.lower,
        "upper": interval.upper,
        "level": interval.level,
        "method": interval.method,
    }


def interval_from_dict(data: Mapping[str, Any] | None) -> Interval | None:
    return None if data is None else Interval(data["lower"], data["upper"], data["level"], data["method"])


def refusal_as_dict(refusal: Refusal | None) -> dict[str, str] | None:
    return None if refusal is None else {"code": refusal.code.value, "reason": refusal.reason}


def refusal_from_dict(data: Mapping[str, Any] | None) -> Refusal | None:
    return None if data is None else Refusal(RefusalCode(data["code"]), data["reason"])
