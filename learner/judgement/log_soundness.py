"""Tests whether the log is consistent: compares logged arms with logged probabilities (a sample-ratio test).

If arms do not occur as often as their propensities say, the experiment is broken in a way that no estimator notices:
all estimates would be wrong.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtr

from event_schemas.experiment import Experiment
from learner.examples.learning_rows import LearningRows
from learner.examples.row_settings import RowSettings
from learner.examples.slice_tallies import SliceTallies
from learner.judgement.declared_distributions import PROPENSITY_TOLERANCE, DeclaredDistributions
from learner.judgement.recomputed_draws import contradictions
from learner.judgement.tested_part import Method, TestedPart
from learner.judgement.vector_tests import vector_tests

SMALLEST_EXPECTED = 5.0 - 1e-9
"""Five rows; sums of probabilities may lie a rounding below it."""
FEWEST_DIGITS, MOST_DIGITS = 3, 5
"""Decimals to which propensities may be rounded; with more, the tolerance is larger than the rounding."""
FLOAT_NOISE = 1e-12
MOST_ROUNDING = 0.1
"""A propensity that is rounded further, relative to itself, is wrong."""
FEWEST_FOREIGN = 30
"""Fewer rows cannot be tested as the log of another policy."""


@dataclass(frozen=True, slots=True)
class LogSoundness:
    """`p_value` of the hypothesis that arms were drawn as logged; None without rows. A small value means unsound."""

    rows: int
    p_value: float | None
    method: Method
    detail: str

    def with_tallies(
        self,
        tallies: SliceTallies,
        exploration_rate: float,
        design_effect: float = 1.0,
        *,
        may_be_fewer: bool = False,
    ) -> "LogSoundness":
        """Adds the producers' own count of explored traffic: the smaller p-value, doubled (Bonferroni).

        `design_effect` is that of the exploration units; see `SliceTallies.p_value`.
        """
        tallied = tallies.p_value(exploration_rate, design_effect, may_be_fewer=may_be_fewer)
        if tallied is None:
            return self
        combined = tallied if self.p_value is None else min(1.0, 2 * min(tallied, self.p_value))
        words = f"{tallies.account(exploration_rate)} (p = {tallied:.3g})"
        return replace(self, p_value=combined, detail=f"{self.detail}; {words}")

    def as_dict(self) -> dict[str, Any]:
        """For the evaluation's report."""
        return {"rows": self.rows, "p_value": self.p_value, "method": self.method, "detail": self.detail}


def check_log(rows: LearningRows, experiment: Experiment, control: pl.DataFrame | None = None) -> LogSoundness:
    """Test the explored rows, and the `control` rows of the same span whose draws can be recomputed.

    Every draw is recomputed of the rows that name their exploration settings: if one gives another slice, arm, vector,
    density or probability than is logged, the log is unsound (p = 0).

    A row declares the distribution of its arm: by its logged probabilities, or else by the settings that it names, or
    else by the experiment file's. A row is odd if its propensity is another than its distribution gives. Propensities
    may be rounded to `FEWEST_DIGITS` decimals or more.

    - An odd row that logs its probabilities contradicts itself: the log is unsound (p = 0).
    - So is a log with fewer than `FEWEST_FOREIGN` odd rows among others that the exploration explains: too few to be
      the log of another policy.
    - With more odd rows, all rows without logged probabilities or known settings are taken for a log that another
      policy may have drawn, in part or whole. They are tested by E[1 / (propensity · eligible arms)] = 1, which holds
      under correct propensities if every eligible arm may be drawn. So are rows that name settings which nobody kept.
    - All other rows take part in a χ² test of the arms' counts against the sums of their probabilities, with sparse
      arms pooled, and the vectors of a box in a test for each weight (see `vector_tests`).

    p-values of several parts are combined by Bonferroni's rule.
    """
    if rows.count == 0:
        return LogSoundness(0, None, "chi_square", "no rows")
    declared = DeclaredDistributions.of(rows, experiment)
    shares = declared.shares_of(rows.arms)
    possible = (rows.propensities > 0) & (rows.propensities <= 1)
    explained = possible & (np.abs(shares - rows.propensities) <= _rounding(rows.propensities))
    settings = rows.settings
    ours = possible & ~declared.logged & ~settings.recomputed & ~settings.lost
    odd = int((ours & ~explained).sum())
    foreign = ours & (odd >= min(FEWEST_FOREIGN, (int(ours.sum()) + 1) // 2) > 0)
    foreign |= possible & ~declared.logged & settings.lost
    counted = explained & ~foreign
    parts = [
        _recomputed(rows, experiment, control),
        _contradictions(rows, shares, ~explained & ~foreign),
        _inverse_propensity_test(rows, foreign, experiment),
        _chi_square_test(rows.arms[counted], declared.expected_counts(counted)),
        *(vector_tests(rows, experiment.action_space) if experiment.action_space.kind == "box" else ()),
    ]
    return _combined(rows.count, [part for part in parts if part is not None])


def _combined(rows: int, parts: list[TestedPart]) -> LogSoundness:
    worst = min(parts, key=lambda part: part.p_value)
    p_value = min(1.0, len(parts) * worst.p_value)
    return LogSoundness(rows, p_value, worst.method, "; ".join(part.detail for part in parts))


def _recomputed(rows: LearningRows, experiment: Experiment, control: pl.DataFrame | None) -> TestedPart | None:
    """A part if a draw contradicts its row, or if rows name settings that nobody kept."""
    space, settings = experiment.action_space, rows.settings
    found = [contradictions(rows.frame, space, settings)]
    if control is not None and control.height:
        found.append(contradictions(control, space, RowSettings.of(control, experiment, rows.explorations)))
    wrong, details = sum(each.count for each in found), [each.first for each in found if each.count]
    if wrong:
        checked = int(settings.recomputed.sum())
        detail = f"{wrong} rows are not what their draws give ({checked} explored rows recomputed): {details[0]}"
        return TestedPart(0.0, "recomputed", detail)
    if settings.unknown:
        digest, count = next(iter(settings.unknown.items()))
        detail = (
            f"{int(settings.lost.sum())} rows name exploration settings that are not kept here, such as {digest[:12]}…"
            f" ({count} rows): their draws are not recomputed"
        )
        return TestedPart(1.0, "recomputed", detail)
    return None


def _rounding(propensities: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far the true propensities may lie from the logged ones: half a unit of the last decimal, a tenth at most."""
    found = np.full(len(propensities), PROPENSITY_TOLERANCE)
    for digits in range(MOST_DIGITS, FEWEST_DIGITS - 1, -1):
        rounded = np.abs(np.round(propensities, digits) - propensities) < FLOAT_NOISE
        found[rounded] = 0.5 * 10.0**-digits + FLOAT_NOISE
    rounding: NDArray[np.float64] = np.minimum(found, MOST_ROUNDING * propensities)
    return rounding


def _contradictions(rows: LearningRows, shares: NDArray[np.float64], odd: NDArray[np.bool_]) -> TestedPart | None:
    if not odd.any():
        return None
    first = int(np.flatnonzero(odd)[0])
    request_id = rows.frame["request_request_id"][first]
    detail = (
        f"{odd.sum()} of {rows.count} rows were not drawn as they declare (if another policy drew them, log their"
        f" probabilities): request {request_id!r} has the propensity {rows.propensities[first]:g}, but its distribution"
        f" gives {shares[first]:g}"
    )
    return TestedPart(0.0, "declared", detail)


def _chi_square_test(arms: NDArray[np.int64], expected: NDArray[np.float64]) -> TestedPart | None:
    """Pearson's χ² test of the counts of `arms` against the `expected` ones, float64[arms].

    Arms with fewer than 5 expected rows are pooled into one cell.
    """
    if not len(arms):
        return None
    observed = np.bincount(arms, minlength=len(expected)).astype(np.float64)
    sparse = expected < SMALLEST_EXPECTED
    observed = np.append(observed[~sparse], observed[sparse].sum())
    expected = np.append(expected[~sparse], expected[sparse].sum())
    if expected[-1] == 0.0:
        if observed[-1]:
            return TestedPart(0.0, "chi_square", f"{observed[-1]:.0f} rows of arms that are never drawn")
        observed, expected = observed[:-1], expected[:-1]
    if len(expected) < 2:
        return TestedPart(1.0, "chi_square", "too few rows for the test")
    statistic = float((np.square(observed - expected) / expected).sum())
    p_value = float(chdtrc(len(expected) - 1, statistic))
    return TestedPart(p_value, "chi_square", f"chi-square {statistic:.1f} on {len(expected) - 1} degrees")


def _inverse_propensity_test(rows: LearningRows, of: NDArray[np.bool_], experiment: Experiment) -> TestedPart | None:
    """A z-test of the mean of 1 / (propensity · arms), where each propensity may be off by its rounding."""
    count = int(of.sum())
    if count == 0:
        return None
    if count < FEWEST_FOREIGN:
        return TestedPart(1.0, "inverse_propensity", "too few rows for the test")
    arms = rows.eligible_lists.counts(experiment.action_space.arms)[of]
    propensities, rounding = rows.propensities[of], _rounding(rows.propensities[of])
    terms = 1.0 / (propensities * arms)
    detail = f"mean of 1 / (propensity x arms) is {terms.mean():.3f}, expected 1"
    error = float(terms.std(ddof=1)) / math.sqrt(count)
    if error <= FLOAT_NOISE * float(terms.mean()):
        p_value = _p_of_equal_terms(rows.arms[of], (propensities, rounding), arms, rows.eligible_lists.group[of])
        return TestedPart(p_value, "inverse_propensity", detail)
    least, most = (float((1.0 / ((propensities + off) * arms)).mean()) for off in (rounding, -rounding))
    deviation = max(0.0, least - 1.0, 1.0 - most)
    return TestedPart(float(2 * ndtr(-deviation / error)), "inverse_propensity", detail)


def _p_of_equal_terms(
    drawn: NDArray[np.int64],
    propensities: tuple[NDArray[np.float64], NDArray[np.float64]],
    eligible: NDArray[np.int64],
    lists: NDArray[np.int64],
) -> float:
    """The p-value where all terms are equal, so that their mean has no variance.

    `propensities` come with their rounding, `eligible` counts each row's arms, and `lists` numbers what it allowed.

    Take the rows that allowed the same arms. The arms they drew have one propensity, and cannot have more than 1
    together. If the propensity is below 1 / eligible arms, other arms must have more; that no row drew one of those has
    at most the probability (propensity · eligible arms)^rows. If it is above, the other arms are rare, which no draws
    contradict.
    """
    said, rounding = propensities
    order = np.lexsort((drawn, lists))
    starts = np.flatnonzero(np.diff(lists[order], prepend=-1))
    fresh = (np.diff(lists[order], prepend=-1) != 0) | (np.diff(drawn[order], prepend=-1) != 0)
    distinct = np.add.reduceat(fresh.astype(np.int64), starts)
    least = np.minimum.reduceat((said - rounding)[order], starts)
    if (least * distinct > 1.0 + FLOAT_NOISE).any():
        return 0.0
    most = np.maximum.reduceat((said + rounding)[order], starts)
    rows = np.diff(np.append(starts, len(order)))
    return float(np.prod(np.minimum(1.0, most * eligible[order][starts]) ** rows))
