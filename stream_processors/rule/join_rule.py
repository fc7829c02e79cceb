"""The rule of the join: which engagement counts for which objective, and how long a decision waits for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from event_schemas.experiment import Experiment
from stream_processors.rule.arm_weights import ArmWeights
from stream_processors.rule.box_limits import BoxLimits


class OutsideReason(StrEnum):
    """Why an engagement counts for no objective."""

    UNKNOWN_KIND = "unknown_kind"
    """No objective has its kind."""
    BEFORE_REQUEST = "before_request"
    """It happened before its request."""
    TOO_LATE = "too_late"
    """It happened after the attribution of every objective that has its kind."""


@dataclass(frozen=True, slots=True)
class ObjectiveRule:
    """One objective of any role: the kinds that count, for how long after the request (ms), and the largest reward."""

    name: str
    kinds: frozenset[str]
    clip: float
    attribution_ms: int

    def counts(self, kind: str, delay_ms: int) -> bool:
        """Whether an engagement of `kind`, `delay_ms` after the request, counts: 0 ≤ delay ≤ attribution."""
        return 0 <= delay_ms <= self.attribution_ms and kind in self.kinds


@dataclass(frozen=True, slots=True)
class JoinRule:
    """Everything in an experiment that the join depends on.

    `window_ms` = longest attribution + allowed lateness: a decision closes when the watermark reaches its request
    time plus this, and an event is late when it reaches the event's own time plus this.
    """

    objectives: tuple[ObjectiveRule, ...]
    window_ms: int
    max_future_skew_ms: int
    max_pending: int
    arms: int
    action_space: str
    arm_weights: ArmWeights = field(compare=False, repr=False)
    """What `action_space` stands for."""
    box: BoxLimits | None = field(default=None, compare=False, repr=False)
    """The bounds of vectors, if the action space is a box."""

    @classmethod
    def from_experiment(cls, experiment: Experiment) -> JoinRule:
        """The rule that an experiment file declares."""
        return cls(
            objectives=tuple(
                ObjectiveRule(o.name, frozenset(o.kinds), o.clip, o.attribution) for o in experiment.counted
            ),
            window_ms=experiment.window_ms,
            max_future_skew_ms=experiment.join.max_future_skew,
            max_pending=experiment.join.max_pending_per_partition,
            arms=experiment.action_space.arms,
            action_space=experiment.action_space.digest,
            arm_weights=ArmWeights(experiment.action_space.weights),
            box=BoxLimits(experiment.action_space) if experiment.action_space.kind == "box" else None,
        )

    def counts(self, kind: str, delay_ms: int) -> bool:
        """Whether an engagement of `kind`, `delay_ms` after the request, counts for any objective."""
        return any(objective.counts(kind, delay_ms) for objective in self.objectives)

    def outside_reason(self, kind: str, delay_ms: int) -> OutsideReason:
        """Why an engagement that counts for no objective does not."""
        if not any(kind in objective.kinds for objective in self.objectives):
            return OutsideReason.UNKNOWN_KIND
        return OutsideReason.BEFORE_REQUEST if delay_ms < 0 else OutsideReason.TOO_LATE

    def counting_by_kind(self) -> dict[str, tuple[tuple[int, int], ...]]:
        """For each kind that counts: the index of every objective it counts for, with the attribution (ms)."""
        kinds = {kind for objective in self.objectives for kind in objective.kinds}
        numbered = list(enumerate(self.objectives))
        return {kind: tuple((i, o.attribution_ms) for i, o in numbered if kind in o.kinds) for kind in kinds}

    def totals(self, engagements: Iterable[tuple[str, int, float]]) -> tuple[float, ...]:
        """Sum of values per objective over (kind, delay ms, value) of distinct engagements, in the order given."""
        totals = [0.0] * len(self.objectives)
        for kind, delay_ms, value in engagements:
            for index, objective in enumerate(self.objectives):
                if objective.counts(kind, delay_ms):
                    totals[index] += value
        return tuple(totals)
