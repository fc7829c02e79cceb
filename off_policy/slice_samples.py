"""A policy in one slice of a log, alone and beside the baseline: the rows with a weight, and sums over the others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from off_policy.block_moments import Moments
from off_policy.doubly_robust import ModelledSample
from off_policy.expected_rewards import CentredSums, ExpectedRewards
from off_policy.importance_weights import Elsewhere, Evidence, evidence_of
from off_policy.intervals import EvidenceRequirements
from off_policy.log_slices import LogSlice
from off_policy.numeric_arrays import BoolArray, FloatArray, IntArray
from off_policy.paired_lift import PairedLift, PairedRows, PairVariances, dr_lift
from off_policy.policy_sums import PolicySums
from off_policy.sampling_design import SamplingDesign, inner


@dataclass(frozen=True, eq=False)
class PolicySample:
    """The rows of a slice in which a policy has a weight, k of the slice's n rows."""

    part: LogSlice
    of: PolicySums

    @cached_property
    def _chosen(self) -> IntArray | None:
        """Which of the policy's weighted rows lie in the slice; None if all do."""
        inside = self.part.inside(self.of.weighted_rows().rows)
        return None if inside is None else np.flatnonzero(inside)

    @cached_property
    def rows(self) -> IntArray:
        """int[k]: their positions in the log, ascending."""
        rows = self.of.weighted_rows().rows
        return rows if self._chosen is None else rows[self._chosen]

    @cached_property
    def own_weights(self) -> FloatArray:
        weights = self.of.weighted_rows().weights
        return weights if self._chosen is None else weights[self._chosen]

    @cached_property
    def rewards(self) -> FloatArray:
        found: FloatArray = self.part.of.log.reward[self.rows, self.part.objective]
        return found

    @cached_property
    def design(self) -> SamplingDesign:
        return self.part.unit_rows.design(len(self.rows), self.unit_numbers)

    @cached_property
    def unit_numbers(self) -> IntArray | None:
        """int[k]: the slice's unit numbers of the rows; None if every row is a unit."""
        return self.part.units_of(self.rows)

    @cached_property
    def elsewhere(self) -> Elsewhere:
        """The slice's other rows."""
        return self.part.whole.without(self.rewards)

    @cached_property
    def own_evidence(self) -> Evidence:
        """Of the weights, by the share of positives in the other rows."""
        return evidence_of(self.own_weights, self.rewards, self.design, self.elsewhere, self.part.whole)

    @cached_property
    def modelled(self) -> ModelledSample | None:
        """What doubly robust estimates are made from; None without a model."""
        q_logged = self._column(self.of.weighted_rows().q_logged)
        expected = self._column(self.of.weighted_rows().expected)
        if q_logged is None or expected is None:
            return None
        known = self._expected(expected), self.own_evidence
        return ModelledSample(self.own_weights, self.rewards, q_logged, expected, self.design, known)

    @cached_property
    def moments(self) -> Moments:
        return self.of.moments.of(self.part.objective, self.part.cell)

    def _column(self, values: FloatArray | None) -> FloatArray | None:
        """float[k]: the slice's objective and rows, of values by weighted row and objective."""
        if values is None:
            return None
        column = values[:, self.part.objective]
        return np.ascontiguousarray(column) if self._chosen is None else column[self._chosen]

    def _expected(self, at_hand: FloatArray) -> ExpectedRewards:
        n, mean = self.part.whole.rows, float(self.moments.means[0])
        by_row = CentredSums(at_hand - mean, 1.0, float(self.moments.products[0]), 0.0, float(n), len(at_hand) == n)
        totals, absent = self._unit_totals, self.design.absent
        if totals is None or absent is None or absent.places is None or self.part.unit_rows.by_unit is None:
            return ExpectedRewards(n, mean if n else math.nan, by_row)
        rows = self.part.unit_rows.by_unit
        centred, places = totals - mean * rows, absent.places
        by_unit = CentredSums(
            at_hand=centred[places],
            rows=rows[places],
            squares=inner(centred, centred),
            with_rows=inner(centred, rows),
            row_squares=self.part.unit_rows.squares,
            complete=len(places) == len(rows),
        )
        return ExpectedRewards(n, mean if n else math.nan, by_row, by_unit)

    @cached_property
    def _unit_totals(self) -> FloatArray | None:
        """float[U]: the sums of expected rewards over the slice's units; None if every row is a unit."""
        if self.part.unit_rows.by_unit is None:
            return None
        return self.part.by_unit(self.of.unit_totals[self.part.objective])

    @cached_property
    def terms_by_unit(self) -> FloatArray | None:
        """float[U]: the sums of DR terms over the slice's units, less their mean; None if every row is a unit."""
        totals, absent, rows = self._unit_totals, self.design.absent, self.part.unit_rows.by_unit
        if totals is None or absent is None or rows is None or self.modelled is None:
            return None
        sums = totals - self.modelled.value * rows
        sums[absent.places] += self.design.sums(self.modelled.correction)
        return sums


@dataclass(frozen=True, eq=False)
class PairedSample:
    """A policy and the baseline in one slice."""

    ours: PolicySample
    base: PolicySample

    @cached_property
    def rows(self) -> PairedRows:
        """The rows in which either has a weight: the baseline's, then the policy's others."""
        ours, base, others = self.ours, self.base, self._others
        weights = np.zeros(len(base.rows) + len(others))
        weights[self._places] = ours.own_weights
        of_base = np.concatenate([base.own_weights, np.zeros(len(others))])
        further, whole = ours.rewards[others], base.part.whole
        rewards, elsewhere = np.concatenate([base.rewards, further]), base.elsewhere.without(further)
        units = None
        if base.unit_numbers is not None and ours.unit_numbers is not None:
            units = np.concatenate([base.unit_numbers, ours.unit_numbers[others]])
        design = base.part.unit_rows.design(len(rewards), units)
        sides = ours.own_evidence.expecting(elsewhere, whole), base.own_evidence.expecting(elsewhere, whole)
        return PairedRows(weights, of_base, rewards, design, sides, elsewhere, whole)

    def dr_lift(self, requirements: EvidenceRequirements) -> PairedLift | None:
        """None without a model."""
        ours, base = self.ours.modelled, self.base.modelled
        if ours is None or base is None:
            return None
        q_logged = np.concatenate([base.q_logged, ours.q_logged[self._others]])
        return dr_lift(self.rows, (ours.value, base.value), q_logged, self.dr_variances, requirements)

    @cached_property
    def dr_variances(self) -> PairVariances:
        """Of both DR values."""
        n = self.ours.part.whole.rows
        if n < 2:
            return PairVariances(*[math.nan] * 5)
        ours, base = self.ours.terms_by_unit, self.base.terms_by_unit
        if ours is None or base is None:
            gap, both, of_base = self.ours.moments.products[1:].tolist()
        else:
            apart = ours - base
            gap, both, of_base = inner(apart, apart), inner(apart, base), inner(base, base)
        scale = n * (n - 1.0)
        return PairVariances.of_gap(gap / scale, both / scale, of_base / scale)

    @cached_property
    def _found(self) -> tuple[IntArray, BoolArray]:
        """(where each of the policy's rows would be among the baseline's, whether it is one of them)."""
        places, rows = np.searchsorted(self.base.rows, self.ours.rows), self.base.rows
        if not len(rows):
            return places, np.zeros(len(places), dtype=np.bool_)
        return places, rows[np.minimum(places, len(rows) - 1)] == self.ours.rows

    @cached_property
    def _others(self) -> IntArray:
        """Which of the policy's rows are none of the baseline's."""
        return np.flatnonzero(~self._found[1])

    @property
    def _places(self) -> IntArray:
        """int[k]: where the policy's rows are among those of the pair."""
        places = self._found[0].copy()
        places[self._others] = len(self.base.rows) + np.arange(len(self._others))
        return places
