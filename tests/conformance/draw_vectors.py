"""The parts of vectors about exploration: units, settings, and draws, whose numbers are compared with a tolerance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from tests.conformance.vector_parts import LogUnit, Part, Sha256, Share

TOLERANCE = 1e-9


class UnitGiven(Part):
    request_id: str
    unit: Literal["request", "session"]


class UnitExpected(Part):
    unit: str


class LogUnitGiven(Part):
    request_id: str
    user_id: str | None
    exploration_unit: Literal["request", "session"]
    log_unit: LogUnit


class LogUnitExpected(Part):
    log_unit: str


class SettingsGiven(Part):
    action_space: str
    kind: Literal["uniform", "normal"]
    unit: Literal["request", "session"]
    salt: str
    exploration_rate: Share
    control_rate: Share
    log_rate: Share
    production_share: Share
    sd: list[float]
    log_unit: LogUnit | None = None


class SettingsExpected(Part):
    settings: str
    digest: Sha256


class NormalGiven(Part):
    mean: float
    sd: float
    low: float
    high: float
    coin: Share
    value: float


class NormalExpected(Part):
    drawn: float
    log_density: float


class ExploredWeight(Part):
    name: str
    production: float
    low: float
    high: float
    sd: float | None = None


class ExploredGiven(Part):
    weights: list[ExploredWeight]
    kind: Literal["uniform", "normal"]
    salt: str
    production_share: Share
    eligible: list[int]
    request_id: str


class ExploredExpected(Part):
    arm: Literal[0, 1]
    propensity: Share
    weights: list[float]
    log_density: float | None


class ArmShare(Part):
    name: str
    share: Share


class ExperimentGiven(Part):
    salt: str
    experiment_id: str
    share: Share
    arms: list[ArmShare]
    user_id: str | None


class ExperimentExpected(Part):
    experiment_arm: str | None


class PolicyArmGiven(Part):
    probabilities: list[float]
    draw: Share


class ProposedWeight(Part):
    name: str
    low: float
    high: float
    mean: float | None = None
    sd: float | None = None


class PolicyVectorGiven(Part):
    proposal: list[ProposedWeight]
    salt: str
    request_id: str


class PolicyVectorExpected(Part):
    weights: list[float]
    log_density: float


def same(given: Any, one: Any, other: Any) -> bool:
    """Whether two answers are equal; numbers of vectors within 10⁻⁹, weights as a share of their range."""
    match one, other:
        case NormalExpected(), NormalExpected():
            lengths = [given.high - given.low]
            return _near([one.drawn], [other.drawn], lengths) and _near([one.log_density], [other.log_density], [1.0])
        case ExploredExpected(), ExploredExpected():
            lengths = [weight.high - weight.low for weight in given.weights]
            if (one.arm, one.propensity, one.log_density is None) != (
                other.arm,
                other.propensity,
                other.log_density is None,
            ):
                return False
        case PolicyVectorExpected(), PolicyVectorExpected():
            lengths = [weight.high - weight.low for weight in given.proposal]
        case _:
            return bool(one == other)
    densities = [0.0 if each.log_density is None else each.log_density for each in (one, other)]
    return _near(one.weights, other.weights, lengths) and _near(densities[:1], densities[1:], [1.0])


def _near(ones: Sequence[float], others: Sequence[float], lengths: Sequence[float]) -> bool:
    """Both may be empty, as the weights of production are."""
    if len(ones) != len(others):
        return False
    return all(abs(a - b) <= TOLERANCE * length for a, b, length in zip(ones, others, lengths, strict=False))
