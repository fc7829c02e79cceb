"""What the comparison of an online experiment's arms found, as plain values that survive a round trip through JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from off_policy.estimates import (
    Interval,
    Refusal,
    from_json_number,
    interval_as_dict,
    interval_from_dict,
    json_number,
    refusal_as_dict,
    refusal_from_dict,
)


@dataclass(frozen=True, slots=True)
class OutcomeLabel:
    """An outcome: its name, its role in the experiment file, what it is counted per, and its largest value."""

    name: str
    role: str
    per: str
    clip: float


@dataclass(frozen=True, slots=True)
class EffectiveUsers:
    """What an arm's users are worth for an outcome, as numbers of equally active or equally positive users.

    all         users with an observed unit
    positive    users with a positive outcome
    below_clip  users with less than the most that an outcome can be

    A user is worth less than one if others have more decisions or more positives.
    """

    all: float
    positive: float
    below_clip: float


@dataclass(frozen=True, slots=True)
class ArmOutcome:
    """One outcome in one arm: the mean per counting unit, and its difference to the control's.

    Numbers are NaN if undefined; the differences of the control are. If an interval of another arm is None, `refusal`
    says why. `lift` is relative: mean / control's mean - 1.
    """

    mean: float
    mean_error: float
    units: int
    positives: int
    effective: EffectiveUsers
    delta: float = math.nan
    standard_error: float = math.nan
    interval: Interval | None = None
    lift: float = math.nan
    lift_error: float = math.nan
    lift_interval: Interval | None = None
    refusal: Refusal | None = None

    def as_dict(self, label: OutcomeLabel) -> dict[str, Any]:
        """Plain JSON values, with the outcome's role and unit."""
        return {
            "role": label.role,
            "per": label.per,
            "clip": label.clip,
            "mean": json_number(self.mean),
            "mean_se": json_number(self.mean_error),
            "units": self.units,
            "positives": self.positives,
            "effective": asdict(self.effective),
            "delta": json_number(self.delta),
            "se": json_number(self.standard_error),
            "interval": interval_as_dict(self.interval),
            "lift": json_number(self.lift),
            "lift_se": json_number(self.lift_error),
            "lift_interval": interval_as_dict(self.lift_interval),
            "refusal": refusal_as_dict(self.refusal),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The outcome that `as_dict` gave the values of."""
        return cls(
            mean=from_json_number(data["mean"]),
            mean_error=from_json_number(data["mean_se"]),
            units=data["units"],
            positives=data["positives"],
            effective=EffectiveUsers(**data["effective"]),
            delta=from_json_number(data["delta"]),
            standard_error=from_json_number(data["se"]),
            interval=interval_from_dict(data["interval"]),
            lift=from_json_number(data["lift"]),
            lift_error=from_json_number(data["lift_se"]),
            lift_interval=interval_from_dict(data["lift_interval"]),
            refusal=refusal_from_dict(data["refusal"]),
        )


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One arm: users, logged rows, requests that these stand for, declared share in (0, 1), and outcomes by name.

    `covariance` [K, K] is that of all differences to the control in the order of the outcomes; in the control itself it
    is that of its means, which is also the covariance of the differences of any two arms. NaN where undefined.
    """

    users: int
    rows: int
    requests: float
    share: float
    outcomes: Mapping[str, ArmOutcome]
    covariance: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class ArmComparison:
    """All arms of an experiment, in the order in which they were declared.

    `sample_ratio_p` is the p-value of the users' spread over the arms; None if there are too few users.
    """

    control: str
    labels: tuple[OutcomeLabel, ...]
    arms: Mapping[str, ArmResult]
    sample_ratio_p: float | None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        arms = {
            name: {
                "users": arm.users,
                "rows": arm.rows,
                "requests": arm.requests,
                "share": arm.share,
                "outcomes": {label.name: arm.outcomes[label.name].as_dict(label) for label in self.labels},
                "covariance": [[json_number(value) for value in row] for row in arm.covariance],
            }
            for name, arm in self.arms.items()
        }
        return {
            "control": self.control,
            "outcomes": [label.name for label in self.labels],
            "arms": arms,
            "sample_ratio_p": self.sample_ratio_p,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The comparison that `as_dict` gave the values of."""
        arms = {
            name: ArmResult(
                users=arm["users"],
                rows=arm["rows"],
                requests=arm["requests"],
                share=arm["share"],
                outcomes={outcome: ArmOutcome.from_dict(values) for outcome, values in arm["outcomes"].items()},
                covariance=tuple(tuple(from_json_number(value) for value in row) for row in arm["covariance"]),
            )
            for name, arm in data["arms"].items()
        }
        said = data["arms"][data["control"]]["outcomes"]
        labels = tuple(
            OutcomeLabel(name, said[name]["role"], said[name]["per"], said[name]["clip"]) for name in data["outcomes"]
        )
        return cls(data["control"], labels, arms, data["sample_ratio_p"])
