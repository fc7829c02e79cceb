"""Policies to evaluate: an arm, or a distribution over arms, for every logged row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from off_policy.logged_bandit import EvaluationError, require_shape, whole_numbers
from off_policy.numeric_arrays import BoolArray, FloatArray, IntArray
from off_policy.row_distributions import MatrixDistributions, RowDistributions, SharedDistributions, row_blocks

CACHED_CELLS = 1 << 14
"""Cells of a block whose values and scores fit into a core's cache together: 128 kB each as float64."""
SAFE = 1e300
"""Scores whose terms are smaller in sum are finite."""
ROW_SUM_TOLERANCE = 1e-6
"""How far the sum of a row's probabilities may be from one; wide enough for float32 softmax outputs."""


@dataclass(frozen=True, slots=True, eq=False)
class TargetPolicy:
    """Either `arms` int[n] (deterministic) or `probabilities`, never both.

    `probabilities` are a matrix float[n, arms], or with many arms RowDistributions, which hold no cell
    for every row and arm. For a policy that depends on more than the request, such as a position, give
    each row the distribution that applies to it (see `by_position`). Only members of an alpha family
    have `alpha`. Raises EvaluationError if neither or both are given, or if a row is not a distribution.
    """

    name: str
    probabilities: FloatArray | RowDistributions | None = None
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
            if not isinstance(self.probabilities, RowDistributions):
                object.__setattr__(self, "probabilities", self._matrix(self.probabilities))
            self._check_distributions()

    @property
    def deterministic(self) -> bool:
        return self.arms is not None

    @property
    def rows(self) -> int:
        return len(self.arms) if self.arms is not None else self._distributions.rows

    def probability_of(self, action: IntArray) -> FloatArray:
        """float[n]: pi(action_i | x_i)."""
        require_shape(f"policy {self.name!r} (per row)", action, (self.rows,))
        if self.arms is not None:
            hits: FloatArray = np.equal(self.arms, action).astype(np.float64)
            return hits
        distributions = self._distributions
        if action.size and int(action.max()) >= distributions.arms:
            raise EvaluationError(
                f"the log contains arm {int(action.max())}, but policy {self.name!r} has only "
                f"{distributions.arms} arms",
                fix="evaluate only policies of the log's action space",
            )
        return distributions.at(action)

    def expected(self, q: FloatArray, rows: slice | None = None) -> FloatArray:
        """float[k, O]: sum_a pi(a | x_i) q(x_i, a) for q float[k, arms, O] of the policy's `rows` (None: all)."""
        first, last, _ = (rows or slice(None)).indices(self.rows)
        if self.arms is not None:
            arms = self.arms[first:last]
            require_shape("q (rows)", q[:, 0, 0], arms.shape)
            if arms.size and int(arms.max()) >= q.shape[1]:
                raise EvaluationError(
                    f"policy {self.name!r} plays arm {int(arms.max())}, but q has only {q.shape[1]} arms",
                    fix="score every arm of the action space",
                )
            return values_of(q, arms)
        require_shape("q (rows, arms)", q[:, :, 0], (last - first, self._distributions.arms))
        expectation = np.empty((len(q), q.shape[2]))
        for part in row_blocks(len(q), self._distributions.arms):
            distributions = self._distributions.block(slice(first + part.start, first + part.stop))
            np.einsum("na,nao->no", distributions, q[part], out=expectation[part])
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
        ours, theirs = self._distributions, other._distributions
        overlaps = [np.minimum(ours.block(part), theirs.block(part)).sum(axis=1) for part in ours.blocks()]
        return float(np.concatenate(overlaps).mean())

    def same_as(self, other: TargetPolicy) -> bool:
        """Whether both policies make the same decision on every row, so that their lift is exactly zero; False without
        rows."""
        if self.rows == 0:
            return False
        if self.arms is not None and other.arms is not None:
            return np.array_equal(self.arms, other.arms)
        if self.arms is None and other.arms is None:
            return self is other or self._distributed_as(other)
        return self.agreement(other) == 1.0

    def arm_totals(self) -> FloatArray:
        """float[arms]: how many rows get each arm; deterministic policies may leave out the last arms."""
        if self.arms is not None:
            return np.bincount(self.arms).astype(np.float64)
        return self._distributions.total()

    @property
    def _distributions(self) -> RowDistributions:
        assert self.probabilities is not None
        given = self.probabilities
        return given if isinstance(given, RowDistributions) else MatrixDistributions(given)

    def _distributed_as(self, other: TargetPolicy) -> bool:
        ours, theirs = self._distributions, other._distributions
        if (ours.rows, ours.arms) != (theirs.rows, theirs.arms):
            return False
        return all(np.array_equal(ours.block(part), theirs.block(part)) for part in ours.blocks())

    def _matrix(self, probabilities: FloatArray) -> FloatArray:
        matrix: FloatArray = np.asarray(probabilities, dtype=np.float64)
        if matrix.ndim != 2:
            raise EvaluationError(
                f"policy {self.name!r}: probabilities have {matrix.ndim} axes",
                fix="give float[n, arms]",
            )
        return matrix

    def _check_distributions(self) -> None:
        for part in self._distributions.blocks():
            distributions, index = self._distributions.distinct(part)
            sums = distributions.sum(axis=1)
            if not np.all(np.isfinite(sums)) or np.any(distributions < 0):
                raise EvaluationError(
                    f"policy {self.name!r}: a probability is negative or not finite",
                    fix="give a distribution over the arms in every row",
                )
            off = np.abs(sums - 1.0)
            if off.size and float(off.max()) > ROW_SUM_TOLERANCE:
                worst = int(off.argmax())
                row = part.start + int(np.flatnonzero(index == worst)[0])
                raise EvaluationError(
                    f"policy {self.name!r}: probabilities of row {row} sum to {sums[worst]:.6g}",
                    fix="normalise every row to one",
                )


def constant_policy(name: str, arm: int, rows: int) -> TargetPolicy:
    """The policy that plays `arm` in each of `rows` rows, for example production."""
    return TargetPolicy(name, arms=np.full(rows, arm, dtype=np.int64))


def uniform_policy(name: str, rows: int, arms: int) -> TargetPolicy:
    """The policy that draws each of `arms` arms with the same probability."""
    table = np.full((1, arms), 1.0 / arms)
    return TargetPolicy(name, probabilities=SharedDistributions.of_table(table, np.zeros(rows, dtype=np.int64)))


def by_position(name: str, table: FloatArray, position: IntArray) -> TargetPolicy:
    """The policy that depends only on the position: `table` float[arms, positions], `position` int[n] from 0."""
    table = np.asarray(table, dtype=np.float64)
    if position.size and (int(position.min()) < 0 or int(position.max()) >= table.shape[1]):
        raise EvaluationError(
            f"policy {name!r} has positions 0 to {table.shape[1] - 1}, "
            f"but the log has {int(position.min())} to {int(position.max())}",
            fix="count positions from 0 and give one column per position",
        )
    return TargetPolicy(name, probabilities=SharedDistributions.of_table(table.T, position))


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
    [policy] = preference_policies([(name, weights, alpha)], q, eligible)
    return policy


def preference_policies(
    wanted: Sequence[tuple[str, Sequence[float], float | None]], q: FloatArray, eligible: BoolArray | None = None
) -> list[TargetPolicy]:
    """The `preference_policy` of each (name, weights, alpha), in one pass over q.

    Blocks of rows stay in the processor's cache while every policy scores them. Products and sums are those of serving
    (`serving_agent.decide.scoring.best_arm`), in the same order and precision, so the arms are equal bit by bit.
    """
    for _, weights, _ in wanted:
        require_shape("preference weights", np.asarray(weights), (q.shape[2],))
    if eligible is not None:
        require_shape("eligible", eligible, q.shape[:2])
    arms = np.empty((len(wanted), len(q)), dtype=np.int64)
    for block in row_blocks(len(q), q.shape[1]):
        for part in _cached_blocks(block, q.shape[1]):
            values = [np.ascontiguousarray(q[part, :, index], dtype=np.float64) for index in range(q.shape[2])]
            barred = None
            if eligible is not None:
                _require_an_arm(eligible[part], part.start)
                barred = ~eligible[part]
            largest = [max(float(value.max(initial=0.0)), -float(value.min(initial=0.0))) for value in values]
            score, product = np.empty_like(values[0]), np.empty_like(values[0])
            for place, (name, weights, _) in enumerate(wanted):
                _add_scores(values, weights, score, product)
                if not sum(abs(weight) * most for weight, most in zip(weights, largest, strict=True)) < SAFE:
                    _require_finite(name, score, part.start)
                if barred is not None:
                    score[barred] = -np.inf
                score.argmax(axis=1, out=arms[place, part])
    return [TargetPolicy(name, arms=arms[place], alpha=alpha) for place, (name, _, alpha) in enumerate(wanted)]


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
    wanted: list[tuple[str, Sequence[float], float | None]] = []
    for alpha in alphas:
        if not 0.0 <= alpha <= 1.0:
            raise EvaluationError(f"alpha {alpha} is outside [0, 1]", fix="use alphas between 0 and 1")
        weights = [1.0] if objectives == 1 else [1.0 - alpha, 1.0 - alpha]
        if objectives == 2:
            weights[alpha_objective] = alpha
        wanted.append((f"alpha={alpha:g}", weights, float(alpha)))
    return preference_policies(wanted, q, eligible)


def values_of(q: FloatArray, arms: IntArray) -> FloatArray:
    """float[n, O]: q(x_i, arms_i) of q float[n, arms, O]."""
    n, width, objectives = q.shape
    found: FloatArray
    if not q.flags.c_contiguous:
        found = q[np.arange(n), arms].astype(np.float64)
    else:
        cells = q.reshape(n * width, objectives)
        found = cells.take(np.arange(n) * width + arms, axis=0).astype(np.float64, copy=False)
    return found


def _cached_blocks(rows: slice, width: int) -> Iterator[slice]:
    """Cuts `rows` into slices of at most CACHED_CELLS cells, but of at least one row."""
    size = max(1, CACHED_CELLS // max(width, 1))
    for start in range(rows.start, max(rows.stop, rows.start + 1), size):
        yield slice(start, min(start + size, rows.stop))


def _add_scores(values: Sequence[FloatArray], weights: Sequence[float], score: FloatArray, product: FloatArray) -> None:
    """Writes sum_o weights_o values_o, added in the order of the objectives, to `score`; `product` is overwritten."""
    np.multiply(values[0], weights[0], out=score)
    for value, weight in zip(values[1:], weights[1:], strict=True):
        np.multiply(value, weight, out=product)
        score += product


def _require_finite(name: str, score: FloatArray, first: int) -> None:
    """Raises EvaluationError for the first score that is not finite; `first` is the first row."""
    unsound = np.argwhere(~np.isfinite(score))
    if len(unsound):
        raise EvaluationError(
            f"policy {name!r}: a score of row {first + int(unsound[0][0])} is not finite",
            fix="retrain the model, or fix the preference weights",
        )


def _require_an_arm(eligible: BoolArray, first: int) -> None:
    without = np.flatnonzero(~eligible.any(axis=1))
    if without.size:
        raise EvaluationError(
            f"row {first + int(without[0])} has no eligible arm",
            fix="leave at least the production arm eligible",
        )
