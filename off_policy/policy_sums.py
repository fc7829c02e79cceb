"""What an evaluation needs of a policy: its rows with a weight, and sums over the others, added up block by block.

In a row without a weight only the expected reward counts, and only in means, sums of squares and sums by unit. So
nothing but sums is kept of most rows, and a log may have many more of them than predictions fit into memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from off_policy.block_moments import LogBlock, Moments
from off_policy.importance_weights import positive_weights
from off_policy.log_slices import LogSlices
from off_policy.logged_bandit import EvaluationError, require_shape
from off_policy.numeric_arrays import FloatArray, IntArray
from off_policy.target_policies import TargetPolicy


@dataclass(frozen=True, slots=True, eq=False)
class WeightedRows:
    """The rows of a log in which a policy has a weight.

    rows      int[k], ascending
    weights   float[k]
    q_logged  float[k, O]: the predictions for the logged arms; None without a model
    expected  float[k, O]: the policy's expected rewards; None without a model
    """

    rows: IntArray
    weights: FloatArray
    q_logged: FloatArray | None
    expected: FloatArray | None


class PolicySums:
    """One policy on a log; `add` it block by block, in the order of the rows. The baseline prepares each block."""

    def __init__(self, slices: LogSlices, policy: TargetPolicy, *, modelled: bool, baseline: bool = False) -> None:
        self._prepares = baseline
        self.name, self.alpha, self.deterministic = policy.name, policy.alpha, policy.deterministic
        self._slices, self.modelled = slices, modelled
        objectives = len(slices.log.objectives)
        self.moments = Moments.zero((objectives, slices.cells))
        units = len(slices.units.unit) if modelled and slices.units is not None else 0
        self.unit_totals = np.zeros((objectives, units))
        """float[O, m]: the sums of expected rewards by the numbers of `UnitCells`."""
        self._parts: list[WeightedRows] = []
        self._agreement, self._by_arm, self._count, self._same = 0.0, np.zeros(0), 0, True

    @property
    def agreement(self) -> float:
        """`TargetPolicy.agreement` with the baseline; NaN without rows."""
        return self._agreement / self._count if self._count else float("nan")

    @property
    def most_common_share(self) -> float:
        """The share of rows that get the most common arm; near 1 there is no personalisation; NaN without rows."""
        return float(self._by_arm.max()) / self._count if self._count else float("nan")

    @property
    def same_as_baseline(self) -> bool:
        """`TargetPolicy.same_as` the baseline."""
        return self._same and self._count > 0

    def add(
        self,
        blocks: Sequence[LogBlock],
        policy: TargetPolicy,
        baseline: TargetPolicy,
        expected: FloatArray | None,
        q_logged: FloatArray | None,
    ) -> None:
        """The policy's next rows, which are those of `blocks` together, with its expected rewards in them and the
        predictions for the logged arms, both float[rows, O] or None.

        The baseline of these rows has been added to `blocks` before. Raises EvaluationError if shapes differ, or if
        only one of the two is given.
        """
        first, last = blocks[0].rows.start, blocks[-1].rows.stop
        reward = self._slices.log.reward
        own, weights = positive_weights(self._slices.log, policy, slice(first, last))
        self._check(policy, expected, q_logged, last - first)
        if expected is None or q_logged is None:
            self._parts.append(WeightedRows(first + own, weights, None, None))
        else:
            logged = q_logged[own]
            self._parts.append(WeightedRows(first + own, weights, logged, expected[own]))
            corrections = weights[:, None] * (reward[first + own] - logged)
            self._add_moments(blocks, expected, (own, corrections))
        self._add_decisions(policy, baseline)

    def weighted_rows(self) -> WeightedRows:
        """All rows with a weight."""
        if len(self._parts) != 1:
            first = WeightedRows(np.empty(0, dtype=np.int64), np.empty(0), *[self._no_values()] * 2)
            self._parts = [_joined([first, *self._parts])]
        return self._parts[0]

    def _no_values(self) -> FloatArray | None:
        return np.empty((0, len(self.moments.n))) if self.modelled else None

    def _add_moments(self, blocks: Sequence[LogBlock], expected: FloatArray, own: tuple[IntArray, FloatArray]) -> None:
        """`own` are the rows with a weight, int[k], and their corrections, float[k, O]."""
        start, (rows, corrections) = blocks[0].rows.start, own
        for block in blocks:
            first, last = block.rows.start - start, block.rows.stop - start
            some = slice(*np.searchsorted(rows, (first, last)))
            values, terms = expected[first:last], (rows[some] - first, corrections[some])
            if self._prepares:
                block.set_baseline(values, *terms)
            self.moments.add(block.moments(values, *terms))
            if self._slices.units is not None:
                block.add_unit_totals(self.unit_totals, values)

    def _add_decisions(self, policy: TargetPolicy, baseline: TargetPolicy) -> None:
        rows, totals = policy.rows, policy.arm_totals()
        if not rows:
            return
        self._count += rows
        self._agreement += policy.agreement(baseline) * rows
        self._same = self._same and policy.same_as(baseline)
        longer = np.zeros(max(len(totals), len(self._by_arm)))
        longer[: len(self._by_arm)] = self._by_arm
        longer[: len(totals)] += totals
        self._by_arm = longer

    def _check(self, policy: TargetPolicy, expected: FloatArray | None, q_logged: FloatArray | None, rows: int) -> None:
        if not self.modelled == (expected is not None) == (q_logged is not None):
            found = "predictions are given for the policy or for the logged arms, but not for both"
            raise EvaluationError(
                f"policy {policy.name!r}: {found}",
                fix="give q of the logged arms and the expected q of every policy, or none of them",
            )
        if expected is not None:
            require_predictions(f"policy {policy.name!r}: expected q", expected, (rows, len(self.moments.n)))


def require_predictions(name: str, values: FloatArray, shape: tuple[int, int]) -> None:
    """Raises EvaluationError unless `values` have this shape and are finite."""
    require_shape(name, values, shape)
    if not np.isfinite(values).all():
        raise EvaluationError(f"{name} contains values that are not finite", fix="retrain or drop the model")


def _joined(parts: Sequence[WeightedRows]) -> WeightedRows:
    q_logged = [part.q_logged for part in parts if part.q_logged is not None]
    expected = [part.expected for part in parts if part.expected is not None]
    return WeightedRows(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.weights for part in parts]),
        np.concatenate(q_logged) if q_logged else None,
        np.concatenate(expected) if expected else None,
    )
