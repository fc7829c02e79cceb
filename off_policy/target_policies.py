"""Policies to evaluate: an arm, or a distribution over arms, for every logged row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from off_policy.logged_bandit import EvaluationError, require_shape, whole_numbers
from off_policy.numeric_arrays import BoolArray, FloatArray, IntArray

ROW_SUM_TOLERANCE = 1e-6
"""How far the sum of a row's probabilities may be from one; wide enough for float32 softmax outputs."""


@dataclass(frozen=True, slots=True, eq=False)
class TargetPolicy:
    """Either `arms` int[n] (deterministic) or `probabilities` float[n, arms], never both.

    For a policy that depends on more than the request, such as a position, give each row the
    distribution that applies to it (see `by_position`). Only members of an alpha family have `alpha`.
    Raises EvaluationError if neither or both are given, or if a row is not a distribution.
    """

    name: str
    probabilities: FloatArray | None = None
    arms: IntArray | None = None
    alpha: float | None = None

    def __post_init__(self) -> None:
        if (self.probabilities is None) == (self.arms is None):
            raise EvaluationError(
                f"policy {self.name!r} needs arms or probabilities",
                fix="give arms int[n] for a deterministic policy, else probabilities float[n, arms]",
            )
        if self.arms is not None:
            arms = whole_numbers(self.arms, f"policy {self.name!r}: arms")
            object.__setattr__(self, "arms", arms)
            require_shape(f"policy {self.name!r}: arms", arms, (arms.size,))
            if arms.size and int(arms.min()) < 0:
                raise EvaluationError(f"policy {self.name!r} plays arm {int(arms.min())}", fix="use arm indices from 0")
        if self.probabilities is not None:
            probabilities = np.asarray(self.probabilities, dtype=np.float64)
            object.__setattr__(self, "probabilities", probabilities)
            self._check_distribution(probabilities)

    @property
    def deterministic(self) -> bool:
        return self.arms is not None

    @property
    def rows(self) -> int:
        return len(self.arms if self.arms is not None else self._distribution)

    def probability_of(self, action: IntArray) -> FloatArray:
        """float[n]: pi(action_i | x_i)."""
        require_shape(f"policy {self.name!r} (per row)", action, (self.rows,))
        if self.arms is not None:
            hits: FloatArray = np.equal(self.arms, action).astype(np.float64)
            return hits
        distribution = self._distribution
        if action.size and int(action.max()) >= distribution.shape[1]:
            raise EvaluationError(
                f"the log contains arm {int(action.max())}, but policy {self.name!r} has only "
                f"{distribution.shape[1]} arms",
                fix="evaluate only policies of the log's action space",
            )
        chosen: FloatArray = distribution[np.arange(self.rows), action]
        return chosen

    def expected(self, q: FloatArray) -> FloatArray:
        """float[n, O]: sum_a pi(a | x_i) q(x_i, a) for q float[n, arms, O]."""
        if self.arms is not None:
            require_shape("q (rows)", q[:, 0, 0], (self.rows,))
            if self.rows and int(self.arms.max()) >= q.shape[1]:
                raise EvaluationError(
                    f"policy {self.name!r} plays arm {int(self.arms.max())}, but q has only {q.shape[1]} arms",
                    fix="score every arm of the action space",
                )
            return q[np.arange(self.rows), self.arms].astype(np.float64)
        require_shape("q (rows, arms)", q[:, :, 0], self._distribution.shape)
        expectation: FloatArray = np.einsum("na,nao->no", self._distribution, q)
        return expectation

    def agreement(self, other: TargetPolicy) -> float:
        """Mean over rows of sum_a min(pi, pi'): 1 for identical policies, 0 for disjoint ones."""
        if self.rows == 0:
            return float("nan")
        if self.arms is not None and other.arms is not None:
            return float((self.arms == other.arms).mean())
        if self.arms is not None:
            return float(other.probability_of(self.arms).mean())
        if other.arms is not None:
            return float(self.probability_of(other.arms).mean())
        return float(np.minimum(self._distribution, other._distribution).sum(axis=1).mean())

    def same_as(self, other: TargetPolicy) -> bool:
        """Whether both policies make the same decision on every row, so that their lift is exactly zero; False without
        rows."""
        if self.rows == 0:
            return False
        if self.arms is not None and other.arms is not None:
            return np.array_equal(self.arms, other.arms)
        if self.probabilities is not None and other.probabilities is not None:
            return np.array_equal(self.probabilities, other.probabilities)
        return self.agreement(other) == 1.0

    def most_common_share(self) -> float:
        """Share of rows that get the most common arm; near 1 means no personalisation."""
        if self.rows == 0:
            return float("nan")
        if self.arms is not None:
            return float(np.bincount(self.arms).max() / self.rows)
        return float(self._distribution.mean(axis=0).max())

    @property
    def _distribution(self) -> FloatArray:
        assert self.probabilities is not None
        return self.probabilities

    def _check_distribution(self, probabilities: FloatArray) -> None:
        if probabilities.ndim != 2:
            raise EvaluationError(
                f"policy {self.name!r}: probabilities have {probabilities.ndim} axes",
                fix="give float[n, arms]",
            )
        sums = probabilities.sum(axis=1)
        if not np.all(np.isfinite(sums)) or np.any(probabilities < 0):
            raise EvaluationError(
                f"policy {self.name!r}: a probability is negative or not finite",
                fix="give a distribution over the arms in every row",
            )
        off = np.abs(sums - 1.0)
        if off.size and float(off.max()) > ROW_SUM_TOLERANCE:
            raise EvaluationError(
                f"policy {self.name!r}: probabilities of row {int(off.argmax())} sum to {sums[off.argmax()]:.6g}",
                fix="normalise every row to one",
            )


def constant_policy(name: str, arm: int, rows: int) -> TargetPolicy:
    """The policy that plays `arm` in each of `rows` rows, for example production."""
    return TargetPolicy(name, arms=np.full(rows, arm, dtype=np.int64))


def uniform_policy(name: str, rows: int, arms: int) -> TargetPolicy:
    """The policy that draws each of `arms` arms with the same probability."""
    return TargetPolicy(name, probabilities=np.full((rows, arms), 1.0 / arms))


def by_position(name: str, table: FloatArray, position: IntArray) -> TargetPolicy:
    """The policy that depends only on the position: `table` float[arms, positions], `position` int[n] from 0."""
    table = np.asarray(table, dtype=np.float64)
    if position.size and (int(position.min()) < 0 or int(position.max()) >= table.shape[1]):
        raise EvaluationError(
            f"policy {name!r} has positions 0 to {table.shape[1] - 1}, "
            f"but the log has {int(position.min())} to {int(position.max())}",
            fix="count positions from 0 and give one column per position",
        )
    return TargetPolicy(name, probabilities=table.T[position])


def preference_policy(
    name: str,
    q: FloatArray,
    weights: Sequence[float],
    eligible: BoolArray | None = None,
    alpha: float | None = None,
) -> TargetPolicy:
    """argmax_a sum_o weights_o q_o(x, a); ties go to the first arm.

    q float[n, arms, O], weights float[O], eligible bool[n, arms] (None: every arm). Raises
    EvaluationError if shapes differ, a score is not finite or a row has no eligible arm.
    """
    require_shape("preference weights", np.asarray(weights), (q.shape[2],))
    score = np.zeros(q.shape[:2])
    for index, weight in enumerate(weights):
        score += weight * q[:, :, index].astype(np.float64)
    if not np.isfinite(score).all():
        raise EvaluationError(
            f"policy {name!r}: a score of row {int(np.argwhere(~np.isfinite(score))[0][0])} is not finite",
            fix="retrain the model, or fix the preference weights",
        )
    if eligible is not None:
        require_shape("eligible", eligible, score.shape)
        if not eligible.any(axis=1).all():
            raise EvaluationError(
                f"row {int(np.flatnonzero(~eligible.any(axis=1))[0])} has no eligible arm",
                fix="leave at least the production arm eligible",
            )
        score = np.where(eligible, score, -np.inf)
    return TargetPolicy(name, arms=score.argmax(axis=1).astype(np.int64), alpha=alpha)


def alpha_policies(
    q: FloatArray,
    alpha_objective: int,
    alphas: Iterable[float],
    eligible: BoolArray | None = None,
) -> list[TargetPolicy]:
    """One deterministic policy per alpha: argmax_a alpha Q_k + (1 - alpha) Q_other (PRL-PUTS).

    q float[n, arms, O] with O of 1 (alpha then changes nothing) or 2; `alpha_objective` is k, the
    index of the objective that alpha multiplies; alphas in [0, 1]; eligible bool[n, arms] or None.
    """
    objectives = q.shape[2]
    if objectives > 2 or not 0 <= alpha_objective < objectives:
        raise EvaluationError(
            f"alpha_objective {alpha_objective} does not fit {objectives} objectives",
            fix="alpha trades off two objectives; use preference_policy for more than two",
        )
    policies = []
    for alpha in alphas:
        if not 0.0 <= alpha <= 1.0:
            raise EvaluationError(f"alpha {alpha} is outside [0, 1]", fix="use alphas between 0 and 1")
        weights = [1.0] if objectives == 1 else [1.0 - alpha, 1.0 - alpha]
        if objectives == 2:
            weights[alpha_objective] = alpha
        policies.append(preference_policy(f"alpha={alpha:g}", q, weights, eligible, alpha=float(alpha)))
    return policies
