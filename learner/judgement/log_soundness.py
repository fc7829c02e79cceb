"""Tests whether the log is consistent: compares logged arms with logged probabilities (a sample-ratio test).

If arms do not occur as often as their propensities say, the experiment is broken in a way that no estimator notices:
all estimates would be wrong.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtr

from event_schemas.experiment import Experiment
from event_schemas.slices import exploration_distribution
from learner.examples.learning_rows import LearningRows
from learner.examples.slice_tallies import SliceTallies

SMALLEST_EXPECTED = 5.0
PROPENSITY_TOLERANCE = 1e-6
Method = Literal["chi_square", "inverse_propensity"]


@dataclass(frozen=True, slots=True)
class LogSoundness:
    """`p_value` of the hypothesis that arms were drawn as logged; None without rows. A small value means unsound."""

    rows: int
    p_value: float | None
    method: Method
    detail: str

    def with_tallies(self, tallies: SliceTallies, exploration_rate: float) -> "LogSoundness":
        """Adds the producers' own count of explored traffic: the smaller p-value, doubled (Bonferroni)."""
        tallied = tallies.p_value(exploration_rate)
        if tallied is None:
            return self
        combined = tallied if self.p_value is None else min(1.0, 2 * min(tallied, self.p_value))
        words = (
            f"{tallies.explored} of {tallies.decisions} tallied decisions explored, allowed share {exploration_rate:g}"
        )
        return replace(self, p_value=combined, detail=f"{self.detail}; {words} (p = {tallied:.3g})")

    def as_dict(self) -> dict[str, Any]:
        """For the evaluation's report."""
        return {"rows": self.rows, "p_value": self.p_value, "method": self.method, "detail": self.detail}


def check_log(rows: LearningRows, experiment: Experiment) -> LogSoundness:
    """Test the explored rows.

    If every row's distribution is known (it is logged, or the experiment's own exploration gives exactly the logged
    propensity), this is a χ² test of the arms' counts against the sums of their probabilities, with sparse arms pooled.
    Otherwise, for logs of another policy, it is a z-test of E[1 / (propensity · eligible arms)] = 1, which holds under
    correct propensities.
    """
    if rows.count == 0:
        return LogSoundness(0, None, "chi_square", "no rows")
    distributions = _distributions(rows, experiment)
    if distributions is None:
        return _inverse_propensity_test(rows, experiment)
    expected = distributions.sum(axis=0)
    observed = np.bincount(rows.arms, minlength=len(expected)).astype(np.float64)
    return _chi_square_test(observed, expected, rows.count)


def _distributions(rows: LearningRows, experiment: Experiment) -> NDArray[np.float64] | None:
    """float64[n, arms]: each row's distribution, or None if a logged propensity does not match its distribution."""
    space = experiment.action_space
    logged = rows.frame["propensity_probabilities"].to_list()
    eligible = rows.frame["action_eligible"].to_list()
    known: dict[tuple[int, ...], NDArray[np.float64]] = {}
    result = np.empty((rows.count, space.arms))
    for row, (given, arms) in enumerate(zip(logged, eligible, strict=True)):
        key = tuple(arms or ())
        if _is_distribution(given, space.arms):
            result[row] = given
        else:
            if key not in known:
                known[key] = exploration_distribution(space, key, experiment.production_share)
            result[row] = known[key]
    explained = np.abs(result[np.arange(rows.count), rows.arms] - rows.propensities) <= PROPENSITY_TOLERANCE
    return result if bool(explained.all()) else None


def _is_distribution(given: list[float] | None, arms: int) -> bool:
    """Whether the logged probabilities are a distribution over all arms; an absurd number would distort the counts."""
    if not given or len(given) != arms:
        return False
    return all(0.0 <= share <= 1.0 for share in given) and abs(math.fsum(given) - 1.0) <= PROPENSITY_TOLERANCE * arms


def _chi_square_test(observed: NDArray[np.float64], expected: NDArray[np.float64], rows: int) -> LogSoundness:
    """Pearson's χ² test; arms with fewer than 5 expected rows are pooled into one cell."""
    sparse = expected < SMALLEST_EXPECTED
    observed = np.append(observed[~sparse], observed[sparse].sum())
    expected = np.append(expected[~sparse], expected[sparse].sum())
    if expected[-1] == 0.0:
        if observed[-1]:
            return LogSoundness(rows, 0.0, "chi_square", f"{observed[-1]:.0f} rows of arms that are never drawn")
        observed, expected = observed[:-1], expected[:-1]
    if len(expected) < 2:
        return LogSoundness(rows, 1.0, "chi_square", "too few rows for the test")
    statistic = float((np.square(observed - expected) / expected).sum())
    p_value = float(chdtrc(len(expected) - 1, statistic))
    return LogSoundness(rows, p_value, "chi_square", f"chi-square {statistic:.1f} on {len(expected) - 1} degrees")


def _inverse_propensity_test(rows: LearningRows, experiment: Experiment) -> LogSoundness:
    eligible = rows.eligible(experiment.action_space.arms)
    arms = np.full(rows.count, experiment.action_space.arms) if eligible is None else eligible.sum(axis=1)
    terms = 1.0 / (rows.propensities * arms)
    error = float(terms.std(ddof=1)) / np.sqrt(rows.count) if rows.count > 1 else 0.0
    z = (float(terms.mean()) - 1.0) / error if error > 0 else 0.0
    detail = f"mean of 1 / (propensity x arms) is {terms.mean():.3f}, expected 1"
    return LogSoundness(rows.count, float(2 * ndtr(-abs(z))), "inverse_propensity", detail)
