"""What people want of the trade-off between objectives, for everybody and per cohort.

A target is either α in [0, 1] on the experiment's `alpha_objective` (two objectives: the other one weighs 1 − α), or
a simplex of weights by objective (non-negative, sum 1).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_serializer, model_validator

from policy_store.records.governed_record import GovernedRecord, field_problems
from policy_store.records.store_errors import ContractMismatch, RecordMalformed

PREFERENCE_SLOT = "preference"
_SIMPLEX_TOLERANCE = 1e-9
Weight = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


class PreferenceTarget(BaseModel):
    """Either `alpha` or `weights`, never both and never neither."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    alpha: Weight | None = None
    weights: dict[str, Weight] | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.alpha is None) == (self.weights is None):
            raise ValueError("give either alpha or weights")
        if self.weights is not None and abs(math.fsum(self.weights.values()) - 1.0) > _SIMPLEX_TOLERANCE:
            raise ValueError("weights must sum to 1")
        return self

    @model_serializer
    def _only_the_form_used(self) -> dict[str, object]:
        return {"alpha": self.alpha} if self.weights is None else {"weights": dict(self.weights)}

    @classmethod
    def of(cls, *, alpha: float | None = None, weights: Mapping[str, float] | None = None) -> Self:
        """A target from one of the two forms. Raises RecordMalformed naming the value."""
        if weights is not None and alpha is None:
            _require_simplex(weights)
        try:
            return cls(alpha=alpha, weights=None if weights is None else dict(weights))
        except ValidationError as error:
            raise RecordMalformed(
                f"preference: {field_problems(error)}",
                fix="give alpha in [0, 1], or instead one weight in [0, 1] for each objective, with sum 1",
            ) from error

    def objective_weights(self, objectives: tuple[str, ...], alpha_objective: str | None) -> dict[str, float]:
        """Weight by objective, summing to 1.

        Raises ContractMismatch when the target does not fit these objectives: α needs exactly two and a declared
        `alpha_objective` among them; weights must name exactly the experiment's objectives.
        """
        if self.weights is not None:
            if set(self.weights) != set(objectives):
                raise ContractMismatch(
                    f"the preference weighs {', '.join(self.weights)}; the experiment's objectives are"
                    f" {', '.join(objectives)}",
                    fix=_weigh_each(objectives),
                )
            return {name: self.weights[name] for name in objectives}
        assert self.alpha is not None
        if len(objectives) != 2:
            raise ContractMismatch(
                f"α divides the weight between two objectives; the experiment has {len(objectives)}:"
                f" {', '.join(objectives)}",
                fix=_weigh_each(objectives),
            )
        if alpha_objective not in objectives:
            raise ContractMismatch(
                f"α needs the objective that it multiplies; the experiment's are {', '.join(objectives)}",
                fix="set alpha_objective under [preference] in the experiment file",
            )
        return {name: self.alpha if name == alpha_objective else 1.0 - self.alpha for name in objectives}

    def describe(self) -> str:
        """One short phrase for people: `α = 0.3` or `weights repin = 0.2, save = 0.8`."""
        if self.weights is None:
            return f"α = {self.alpha:g}"
        return "weights " + ", ".join(f"{name} = {weight:g}" for name, weight in self.weights.items())


class PreferenceRecord(GovernedRecord):
    """The default target and those of single cohorts, as approved by people."""

    kind: Literal["preference"] = "preference"
    default: PreferenceTarget
    cohorts: dict[str, PreferenceTarget] = Field(default_factory=dict)

    @property
    def slot(self) -> str:
        """`preference`."""
        return PREFERENCE_SLOT


def changed_targets(
    default: PreferenceTarget | None,
    cohorts: Mapping[str, PreferenceTarget],
    cohort: str | None,
    target: PreferenceTarget,
) -> tuple[PreferenceTarget, dict[str, PreferenceTarget]]:
    """Default and cohort targets after setting `target` for one cohort, or for everybody else when None.

    Raises ContractMismatch for a cohort while there is no default: approving the one would decide the other unseen.
    """
    if cohort is None:
        return target, dict(cohorts)
    if default is None:
        raise ContractMismatch(
            f"a preference for cohort {cohort} needs one for everybody else first, and nobody has chosen it",
            fix="propose and approve weights without --cohort, then those of the cohort",
        )
    return default, {**cohorts, cohort: target}


def require_known_cohort(cohort: str | None, cohorts: Collection[str]) -> None:
    """Raise ContractMismatch for a cohort the experiment file does not declare."""
    if cohort is not None and cohort not in cohorts:
        raise ContractMismatch(
            f"cohort {cohort!r} is not declared; the experiment has {', '.join(sorted(cohorts)) or 'no cohorts'}",
            fix="use a declared cohort, or add it under [[cohorts]] in the experiment file",
        )


def weight_options(weights: Mapping[str, float]) -> str:
    """These weights as options of `trimtab alpha propose`, scaled to sum 1 and rounded so that they still do.

    Equal weights if their sum is not positive.
    """
    total = math.fsum(weights.values())
    rounded = [round(weight / total if total > 0 else 1 / len(weights), 3) for weight in weights.values()]
    largest = rounded.index(max(rounded))
    rounded[largest] = round(rounded[largest] + 1.0 - math.fsum(rounded), 3)
    return " ".join(f"--weight {name}={share:g}" for name, share in zip(weights, rounded, strict=True))


def _weigh_each(objectives: Sequence[str]) -> str:
    equal = weight_options(dict.fromkeys(objectives, 1.0))
    return f"give each objective a weight in [0, 1], with sum 1, such as `trimtab alpha propose {equal}`"


def _require_simplex(weights: Mapping[str, float]) -> None:
    """Raise a RecordMalformed in words for weights that are negative or not finite, or whose sum is not 1."""
    given = ", ".join(f"{name} = {weight:g}" for name, weight in weights.items()) or "no weights"
    if not all(0.0 <= weight < math.inf for weight in weights.values()):
        raise RecordMalformed(f"the weights must not be below 0 or infinite: {given}", fix="give each 0 or more")
    total = math.fsum(weights.values())
    if abs(total - 1.0) > _SIMPLEX_TOLERANCE:
        fix = f"give {weight_options(weights)}" if weights else "give one weight for each objective"
        raise RecordMalformed(f"the weights must sum to 1, but {given} sum to {total:.10g}", fix=fix)


def parse_weights(pairs: Sequence[str]) -> dict[str, float]:
    """`NAME=VALUE` texts as weights by objective. Raises RecordMalformed naming the text."""
    weights: dict[str, float] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        try:
            weight = float(value)
        except ValueError:
            weight = math.nan
        if not separator or not name or name in weights or not math.isfinite(weight):
            raise RecordMalformed(
                f"weight {pair!r} is not NAME=VALUE, or names an objective twice",
                fix="give --weight NAME=VALUE once per objective, such as --weight repin=0.3 --weight save=0.7",
            )
        weights[name] = weight
    return weights
