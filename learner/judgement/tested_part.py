"""The test of some rows of a log, one of the parts that make up the check of a log."""

from dataclasses import dataclass
from typing import Literal

Method = Literal["declared", "chi_square", "inverse_propensity", "recomputed", "vectors"]


@dataclass(frozen=True, slots=True)
class TestedPart:
    """`p_value` of the hypothesis that the rows were drawn as logged, how it was tested, and what was found."""

    __test__ = False

    p_value: float
    method: Method
    detail: str
