"""The drift check at pick-up: live heads against the reference sketches of a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from drift_detection.distribution_distance import ks_of_counts, population_stability_index
from drift_detection.quantile_sketch import QuantileSketch, SketchError, Values

DriftStatus = Literal["ok", "drift", "insufficient_data"]


@dataclass(frozen=True, slots=True)
class DriftLimits:
    """When a head counts as drifted.

    max_psi               the head alarms if its PSI is above this (0.25 by convention)
    min_samples           fewest finite live values for a verdict
    max_non_finite_share  the head alarms if more than this share of live values is NaN or infinite

    Raises SketchError if a limit is out of range; a NaN would silence every alarm.
    """

    max_psi: float = 0.25
    min_samples: int = 500
    max_non_finite_share: float = 0.0

    def __post_init__(self) -> None:
        if not (self.max_psi >= 0 and self.min_samples >= 1 and 0 <= self.max_non_finite_share <= 1):
            raise SketchError(
                f"drift limits: max_psi {self.max_psi}, min_samples {self.min_samples}, "
                f"max_non_finite_share {self.max_non_finite_share}",
                fix="use a PSI from 0, at least one sample and a share in [0, 1]",
            )


@dataclass(frozen=True, slots=True)
class HeadDrift:
    """The result for one head: psi and ks are NaN if they cannot be computed; `reason` is None if the head is ok."""

    head: str
    psi: float
    ks: float
    samples: int
    alarm: bool
    sufficient: bool = True
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class DriftVerdict:
    """ "drift" if any head alarms, else "insufficient_data" if any head has too few values, else "ok".
    Without reference heads there is nothing to compare with and the verdict is "ok"."""

    status: DriftStatus
    heads: tuple[HeadDrift, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(head.reason for head in self.heads if head.reason is not None)


def check_heads(
    reference: Mapping[str, QuantileSketch],
    live: Mapping[str, Values],
    limits: DriftLimits,
) -> DriftVerdict:
    """Judge every reference head by its live values; heads without a reference are not judged.

    A head missing from `live` is drift: a ranker that lost a head is not the ranker that the policy
    was trained on. A head with too few values is insufficient data.
    """
    heads = tuple(_check_head(name, sketch, live.get(name), limits) for name, sketch in sorted(reference.items()))
    if any(head.alarm for head in heads):
        return DriftVerdict("drift", heads)
    if not all(head.sufficient for head in heads):
        return DriftVerdict("insufficient_data", heads)
    return DriftVerdict("ok", heads)


def _check_head(name: str, sketch: QuantileSketch, values: Values | None, limits: DriftLimits) -> HeadDrift:
    if values is None:
        return _undecided(name, 0, True, f"head {name!r} is missing from the live predictions")
    live = sketch.emptied().updated(values)
    if live.non_finite > limits.max_non_finite_share * live.seen:
        reason = f"head {name!r}: {live.non_finite} of {live.seen} live values are not finite"
        return _undecided(name, live.total, True, reason)
    if sketch.total == 0 or live.total < limits.min_samples:
        lack = f"{live.total} live values, {limits.min_samples} needed"
        lack = "the reference sketch is empty" if sketch.total == 0 else lack
        return _undecided(name, live.total, False, f"head {name!r}: {lack}")
    psi = population_stability_index(sketch.counts, live.counts)
    alarm = psi > limits.max_psi
    verdict = f"head {name!r}: PSI {psi:.3f} above {limits.max_psi:g}" if alarm else None
    ks = ks_of_counts(sketch.counts, live.counts)
    return HeadDrift(name, psi, ks, live.total, alarm, True, verdict)


def _undecided(name: str, samples: int, alarm: bool, reason: str) -> HeadDrift:
    return HeadDrift(name, math.nan, math.nan, samples, alarm, alarm, reason)
