"""Confidence intervals, and the rules under which they are refused.

The rules rest on measurements: at an effective size of 8 a nominal 95 % interval covers 85 % with
normal quantiles and 92 % with Student's t on ESS - 1 degrees of freedom. With rewards as rare as
0.4 % it covers 18 % at ESS 50 and 55 % at ESS 200, because a sample without a click gives [0, 0].
We therefore use Student's t and require a minimum of positives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import betaincinv, ndtri, stdtrit

from off_policy.estimates import Interval, Refusal, RefusalCode
from off_policy.importance_weights import Evidence
from off_policy.logged_bandit import EvaluationError

FEWEST_UNITS = 30
"""With fewer units, standard errors that are computed by unit are too small."""


@dataclass(frozen=True, slots=True)
class EvidenceRequirements:
    """The minimum evidence for an interval.

    level             coverage of every interval, in (0, 1)
    min_matched_rows  fewest matched rows, counted as effective sample size
    min_positives     fewest matched rows with a reward, and fewest below the largest reward
                      (effective sizes again)
    """

    level: float = 0.95
    min_matched_rows: int = 100
    min_positives: int = 30

    def __post_init__(self) -> None:
        if not 0.0 < self.level < 1.0:
            raise EvaluationError(f"level {self.level} is outside (0, 1)", fix="use, for example, 0.95")
        if self.min_matched_rows < 2 or self.min_positives < 1:
            raise EvaluationError(
                f"min_matched_rows {self.min_matched_rows}, min_positives {self.min_positives}",
                fix="require at least 2 matched rows and 1 positive",
            )


def lacking_evidence(evidence: Evidence, requirements: EvidenceRequirements) -> Refusal | None:
    """A refusal for the first requirement that the evidence does not meet, or None."""
    rows, positives = requirements.min_matched_rows, requirements.min_positives
    if evidence.matched_rows == 0:
        return Refusal(RefusalCode.TOO_FEW_MATCHED_ROWS, "the policy never chooses the logged arm")
    if evidence.ess < rows - 1e-9:
        return Refusal(
            RefusalCode.TOO_FEW_MATCHED_ROWS,
            f"fewer than {rows} matched rows ({evidence.matched_rows}, worth {evidence.ess:.1f} evenly weighted rows)",
        )
    if evidence.effective_units < min(rows, FEWEST_UNITS) - 1e-9:
        return Refusal(
            RefusalCode.TOO_FEW_UNITS,
            f"fewer than {min(rows, FEWEST_UNITS)} users or sessions in the matched rows "
            f"(worth {evidence.effective_units:.1f} evenly weighted ones)",
        )
    if evidence.effective_positives < positives - 1e-9:
        return Refusal(
            RefusalCode.TOO_FEW_POSITIVES,
            f"fewer than {positives} positives "
            f"({evidence.positives}, worth {evidence.effective_positives:.1f} evenly weighted positives)",
        )
    if evidence.effective_negatives < positives - 1e-9:
        return Refusal(
            RefusalCode.TOO_FEW_NEGATIVES,
            f"fewer than {positives} matched rows below the largest reward "
            f"(worth {evidence.effective_negatives:.1f} evenly weighted rows)",
        )
    return None


def infinite_error(standard_error: float) -> Refusal | None:
    """A refusal if the standard error is not finite, because squares of rewards or predictions overflowed."""
    if math.isfinite(standard_error):
        return None
    return Refusal(RefusalCode.UNDEFINED, "the standard error is not finite: rewards or predictions are too large")


def student_interval(value: float, standard_error: float, ess: float, level: float) -> Interval:
    """value +- t * SE, Student's t on max(ESS - 1, 1) degrees of freedom; `ess` is `Evidence.freedom`."""
    freedom = max(ess - 1.0, 1.0)
    reach = float(stdtrit(freedom, 0.5 + level / 2.0)) * standard_error
    return Interval(value - reach, value + reach, level, "student-t")


def wilson_interval(successes: int, trials: int, level: float) -> Interval:
    """Wilson's score interval of a proportion; trials >= 1 (Wilson 1927)."""
    z = float(ndtri(0.5 + level / 2.0))
    p, z2 = successes / trials, z * z
    centre = (p + z2 / (2 * trials)) / (1 + z2 / trials)
    reach = z * math.sqrt(p * (1 - p) / trials + z2 / (4 * trials * trials)) / (1 + z2 / trials)
    return Interval(max(0.0, centre - reach), min(1.0, centre + reach), level, "wilson")


def exact_binomial_interval(successes: int, trials: int, level: float) -> Interval:
    """Clopper and Pearson's interval of a proportion, valid at any sample size; trials >= 1."""
    tail = (1.0 - level) / 2.0
    lower = 0.0 if successes == 0 else float(betaincinv(successes, trials - successes + 1, tail))
    upper = 1.0 if successes == trials else float(betaincinv(successes + 1, trials - successes, 1.0 - tail))
    return Interval(lower, upper, level, "clopper-pearson")
