"""The test of some rows of a log, one of the parts that make up the check of a log."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Method = Literal["declared", "chi_square", "inverse_propensity", "recomputed", "vectors", "rates", "counts"]


@dataclass(frozen=True, slots=True)
class TestedPart:
    """`p_value` of the hypothesis that the rows were drawn as logged, how it was tested, and what was found."""

    __test__ = False

    p_value: float
    method: Method
    detail: str


def smallest_of(p_values: Sequence[float]) -> float:
    """The p-value of several tests together: their smallest times their number (Bonferroni), 1 without tests."""
    return min(1.0, len(p_values) * min(p_values)) if p_values else 1.0
