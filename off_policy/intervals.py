"""Confidence intervals, and the rules under which they are refused.

The interval comes first: `score_bounds` covers what it promises however few rewards are expected, so a refusal protects
nobody from a wrong answer. It only withholds intervals that are too wide to be of use, and standard errors by unit of
too few units. It depends on the weights and on the rewards of other rows, never on the rewards that are judged: a
minimum of counted positives answers for lucky logs only, and where 2 to 3 % of logs passed such a minimum the answers
covered 7 to 59 % (decision 32).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, stdtrit

from off_policy.estimates import Interval, Refusal, RefusalCode
from off_policy.importance_weights import Evidence
from off_policy.logged_bandit import EvaluationError
from off_policy.numeric_arrays import FloatArray
from off_policy.score_bounds import ScorePart, value_bounds

SCORE = "score"
"""The method of intervals from `score_bounds`."""
FEWEST_UNITS = 30
"""With fewer units, standard errors that are computed by unit are too small."""
FEWEST_FREEDOM = 20
"""Fewest degrees of freedom of Student's t: with fewer units, their variance is not known well enough."""
FEWEST_EXPECTED = 10
"""Fewest positive rewards that must be expected: with fewer, intervals are wider than the value itself."""


@dataclass(frozen=True, slots=True)
class EvidenceRequirements:
    """What an interval promises and needs.

    level             coverage of every interval, in (0, 1)
    min_matched_rows  an interval needs FEWEST_FREEDOM degrees of freedom, or one less than these rows if that is less
    min_positives     it needs FEWEST_EXPECTED expected positives, or this number if that is less
    cohort_level      coverage of the intervals inside cohorts, in (0, 1); None: `level`
    """

    level: float = 0.95
    min_matched_rows: int = 100
    min_positives: int = 30
    cohort_level: float | None = None

    def __post_init__(self) -> None:
        for level in (self.level, self.inside_cohorts.level):
            if not 0.0 < level < 1.0:
                raise EvaluationError(f"level {level} is outside (0, 1)", fix="use, for example, 0.95")
        if self.min_matched_rows < 2 or self.min_positives < 1:
            raise EvaluationError(
                f"min_matched_rows {self.min_matched_rows}, min_positives {self.min_positives}",
                fix="require at least 2 matched rows and 1 positive",
            )

    @property
    def inside_cohorts(self) -> EvidenceRequirements:
        """The requirements of what is estimated inside one cohort."""
        return self if self.cohort_level is None else replace(self, level=self.cohort_level, cohort_level=None)


def lacking_evidence(evidence: Evidence, requirements: EvidenceRequirements) -> Refusal | None:
    """A refusal for the first requirement that the evidence does not meet, or None."""
    if evidence.matched_rows == 0:
        return Refusal(RefusalCode.TOO_FEW_MATCHED_ROWS, "the policy never chooses the logged arm")
    freedom = min(FEWEST_FREEDOM, requirements.min_matched_rows - 1)
    if evidence.freedom - 1.0 < freedom - 1e-9:
        by_unit = evidence.effective_units < evidence.ess * (1.0 - 1e-9)
        unit = "users or sessions" if by_unit else "matched rows"
        return Refusal(
            RefusalCode.TOO_FEW_UNITS if by_unit else RefusalCode.TOO_FEW_MATCHED_ROWS,
            f"fewer than {freedom + 1} {unit} "
            f"({evidence.matched_rows} matched rows, worth {evidence.freedom:.1f} evenly weighted {unit})",
        )
    positives = min(FEWEST_EXPECTED, requirements.min_positives)
    if evidence.expected_positives < positives - 1e-9:
        return Refusal(
            RefusalCode.TOO_FEW_POSITIVES,
            f"fewer than {positives} positives expected ({evidence.expected_positives:.1f} in rows worth "
            f"{evidence.ess:.1f} evenly weighted ones, by the other rows)",
        )
    return None


def infinite_error(standard_error: float) -> Refusal | None:
    """A refusal if the standard error is not finite, because squares of rewards or predictions overflowed."""
    if math.isfinite(standard_error):
        return None
    return Refusal(RefusalCode.UNDEFINED, "the standard error is not finite: rewards or predictions are too large")


def student_quantile(freedom: float, level: float) -> float:
    """The quantile of Student's t on max(freedom - 1, 1) degrees of freedom for two-sided intervals at `level`."""
    return float(stdtrit(max(freedom - 1.0, 1.0), 0.5 + level / 2.0))


def unit_quantile(freedom: float, level: float) -> float:
    """Student's quantile for the effective number of units `freedom`, times freedom / (freedom - 1).

    Squared residuals of f units are too small, because what is subtracted was estimated from them. HC3 divides each by
    (1 - h)², with h the unit's leverage, here 1 / f (Davidson and MacKinnon 1993, section 16.3).
    """
    return student_quantile(freedom, level) * freedom / max(freedom - 1.0, 1.0)


def student_interval(value: float, standard_error: float, ess: float, level: float) -> Interval:
    """value +- t * SE, Student's t on max(ESS - 1, 1) degrees of freedom."""
    reach = student_quantile(ess, level) * standard_error
    return Interval(value - reach, value + reach, level, "student-t")


def cautious_interval(value: float, part: ScorePart, freedom: float, level: float) -> Interval:
    """The bounds of `score_bounds.value_bounds`; `freedom` is `Evidence.freedom`."""
    lower, upper = value_bounds(np.asarray(value), part, np.asarray(unit_quantile(freedom, level)))
    return Interval(float(lower), float(upper), level, SCORE)


def exact_binomial_interval(successes: int, trials: int, level: float) -> Interval:
    """Clopper and Pearson's interval of a proportion, valid at any sample size; trials >= 1."""
    lower, upper = binomial_bounds(np.asarray(successes), np.asarray(trials), level)
    return Interval(float(lower), float(upper), level, "clopper-pearson")


def binomial_bounds(
    successes: npt.NDArray[np.number], trials: npt.NDArray[np.number], level: float
) -> tuple[FloatArray, FloatArray]:
    """(lower, upper) of Clopper and Pearson (1934), of arrays of one shape; trials >= 1."""
    tail, failures = (1.0 - level) / 2.0, trials - successes
    lower = np.where(successes > 0, betaincinv(np.maximum(successes, 1), failures + 1, tail), 0.0)
    upper = np.where(failures > 0, betaincinv(successes + 1, np.maximum(failures, 1), 1.0 - tail), 1.0)
    return lower, upper
