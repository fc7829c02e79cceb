"""Recomputes the draws of our own logs: a draw is a pure function of the request's id and of settings that it names.

It computes whole columns; only the hashes are computed row by row, about a microsecond each. The rules are those of
`event_schemas.exploration`, which producers draw with; a test holds the two equal.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from event_schemas.action_space import ActionSpace
from event_schemas.errors import MalformedRecord
from event_schemas.exploration import ExplorationDraws, ExplorationSettings
from event_schemas.exploration_units import unit_of
from event_schemas.shown_text import shown
from event_schemas.slices import Slice, exploration_distribution
from learner.examples.eligible_lists import EligibleLists
from learner.examples.row_settings import RowSettings
from learner.judgement.box_distributions import BoxColumns

TOLERANCE = 1e-9
"""Of probabilities, relative, and of weights normalised to [0, 1]."""
DENSITY_TOLERANCE = 1e-8


@dataclass(frozen=True, slots=True)
class Contradictions:
    """The rows that were not drawn as they say: how many, and the first, in words; empty if there is none."""

    count: int = 0
    first: str = ""


def contradictions(frame: pl.DataFrame, space: ActionSpace, settings: RowSettings) -> Contradictions:
    """Recompute the draws of the rows of `frame` (EXPLORE and CONTROL) whose settings are kept.

    A row is wrong if its slice, sampling, arm, propensity, vector or density is not what the draw gives.
    """
    wrong: dict[int, str] = {}
    count = 0
    for index, each in enumerate(settings.settings):
        rows = np.flatnonzero(settings.recomputed & (settings.group == index))
        if not len(rows):
            continue
        check = _Draws.of(frame[rows], space, each)
        faulty = np.zeros(len(rows), dtype=np.bool_)
        for members, say in check.faults():
            fresh = np.flatnonzero(members & ~faulty)
            faulty |= members
            if len(fresh):
                wrong.setdefault(int(rows[fresh[0]]), check.told(int(fresh[0]), say(int(fresh[0]))))
        count += int(faulty.sum())
    return Contradictions(count, wrong[min(wrong)]) if wrong else Contradictions()


def misfit(space: ActionSpace, settings: ExplorationSettings) -> str:
    """Why nothing of this action space can have been drawn with these settings; empty if it can."""
    try:
        ExplorationDraws(space, settings)
    except MalformedRecord as fault:
        return fault.what
    return ""


def coins(salt: str, purpose: str, identifiers: Sequence[str]) -> NDArray[np.float64]:
    """float64[n]: `slices.coin` of each identifier."""
    start = sha256(f"{salt}\x00{purpose}\x00".encode())
    firsts = bytearray()
    for identifier in identifiers:
        digest = start.copy()
        digest.update(identifier.encode())
        firsts += digest.digest()[:8]
    drawn: NDArray[np.float64] = np.frombuffer(bytes(firsts), dtype=">u8").astype(np.float64) / 2**64
    return drawn


Faults = Iterator[tuple[NDArray[np.bool_], Any]]
"""bool[n], the rows with a fault, and what says of one of them what was logged and what the draw gives."""


@dataclass(frozen=True, eq=False)
class _Draws:
    """Rows that were drawn with the same settings."""

    frame: pl.DataFrame
    space: ActionSpace
    settings: ExplorationSettings
    ids: list[str]
    units: list[str]

    @classmethod
    def of(cls, frame: pl.DataFrame, space: ActionSpace, settings: ExplorationSettings) -> "_Draws":
        ids = frame["request_request_id"].to_list()
        return cls(frame, space, settings, ids, [unit_of(each, settings.unit) for each in ids])

    def told(self, row: int, difference: str) -> str:
        return f"request {shown(self.ids[row])}: {difference}"

    def faults(self) -> Faults:
        if unfit := misfit(self.space, self.settings):
            yield np.ones(len(self.ids), dtype=np.bool_), lambda _: unfit
            return
        yield from self._slice_faults()
        yield from self._arm_faults()

    def _slice_faults(self) -> Faults:
        slices, rates = self.frame["action_slice"], self.settings
        explored = (slices == Slice.EXPLORE).to_numpy()
        probability = self.frame["propensity_slice_probability"].to_numpy()
        explore = coins(rates.salt, "explore", self.units)
        rate, odds = probability.copy(), rates.control_rate
        if not explored.all():
            control = ~explored
            rate[control] = 1.0 - probability[control] / odds if odds else np.nan
            drawn = coins(rates.salt, "control", [unit for unit, kept in zip(self.units, control, strict=True) if kept])
            lost = np.zeros(len(self.ids), dtype=np.bool_)
            lost[control] = ~(drawn < odds) | ~(explore[control] >= rate[control] - TOLERANCE)
            yield lost, lambda row: f"it is logged as {slices[row]} with {probability[row]:g}, but draws another slice"
        outside = explored & ~(explore < probability)
        yield outside, lambda row: f"it explored at the rate {probability[row]:g}, but its coin is {explore[row]:.6g}"
        above = ~(rate <= rates.exploration_rate + TOLERANCE) | ~(rate >= -TOLERANCE)
        yield above, lambda row: f"its exploration rate is {rate[row]:g}, the settings allow {rates.exploration_rate:g}"
        sampling = self.frame["propensity_sampling_rate"].to_numpy()
        yield sampling != 1.0, lambda row: f"its sampling rate is {sampling[row]:g}, but {slices[row]} is always logged"

    def _arm_faults(self) -> Faults:
        explored = (self.frame["action_slice"] == Slice.EXPLORE).to_numpy()
        rows = np.flatnonzero(explored)
        if not len(rows):
            return
        arms, propensities = self._drawn_arms(rows)
        logged, said = self.frame["action_arm"].to_numpy()[rows], self.frame["propensity_propensity"].to_numpy()[rows]
        names = self.space.arm_names
        yield (
            _spread(logged != arms, rows, len(explored)),
            lambda row: (
                f"arm {names[self.frame['action_arm'][row]]} is logged, but"
                f" {names[arms[np.searchsorted(rows, row)]]} is drawn"
            ),
        )
        yield (
            _spread(~(np.abs(said - propensities) <= TOLERANCE * propensities), rows, len(explored)),
            lambda row: (
                f"the propensity {self.frame['propensity_propensity'][row]:g} is logged, but"
                f" {propensities[np.searchsorted(rows, row)]:g} is drawn"
            ),
        )
        if self.space.kind == "box":
            for members, say in self._vector_faults(rows[logged == arms]):
                yield _spread(members, rows[logged == arms], len(explored)), say

    def _drawn_arms(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """`slices.draw_arm` of rows: (arms int64, propensities float64); rows that allow the same arms share a step."""
        u = coins(self.settings.salt, "arm", [self.ids[row] for row in rows])
        lists = EligibleLists.of(self.frame["action_eligible"][rows])
        arms, propensities = np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows))
        allowed = lists.lists(np.arange(len(lists.distinct)))
        for group, members in lists.members():
            eligible = allowed[group]
            probabilities = exploration_distribution(self.space, eligible, self.settings.production_share)
            arms[members] = _arms_at(self.space, u[members], probabilities)
            propensities[members] = probabilities[arms[members]]
        return arms, propensities

    def _vector_faults(self, rows: NDArray[np.int64]) -> Faults:
        columns = BoxColumns.of(self.frame[rows], self.space)
        vectors = columns.vector
        weights = columns.normalised.copy()
        weights[~vectors] = self.space.normalised(self.space.weights[self.space.production_arm])
        ids = [self.ids[row] for row, vector in zip(rows, vectors, strict=True) if vector]
        names = self.space.weight_names
        drawn = np.stack([coins(self.settings.salt, f"weight:{name}", ids) for name in names], axis=1)
        exploring = columns.exploring(self.settings)
        weights[vectors] = exploring.draw(drawn)
        near = np.abs(columns.normalised - weights) <= TOLERANCE

        def off(row: int) -> str:
            at = int(np.searchsorted(rows, row))
            weight = int(np.flatnonzero(~near[at])[0])
            low, high = self.space.low[weight], self.space.high[weight]
            logged, given = (low + (high - low) * each[at, weight] for each in (columns.normalised, weights))
            return f"the weight {names[weight]} is logged as {logged:.9g}, but {given:.9g} is drawn"

        yield np.asarray(~near.all(axis=1), dtype=np.bool_), off
        density = np.full(len(rows), np.nan)
        density[vectors] = exploring.log_density(columns.normalised[vectors])
        said = columns.log_density
        same = np.where(vectors, np.abs(said - density) <= DENSITY_TOLERANCE, np.isnan(said))
        yield (
            ~same.astype(np.bool_),
            lambda row: (
                f"the log density {self.frame['propensity_log_density'][row]} is logged, but"
                f" {density[np.searchsorted(rows, row)]:.9g} is drawn"
            ),
        )


def _arms_at(space: ActionSpace, u: NDArray[np.float64], probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """The arms that `slices.draw_arm` gives for the coins u, among arms with these probabilities."""
    production = space.production_arm
    share = 0.0 if space.kind == "catalogue" else float(probabilities[production])
    if share == 1:
        return np.full(len(u), production, dtype=np.int64)
    candidates = np.flatnonzero(probabilities)
    if space.kind != "catalogue":
        candidates = candidates[candidates != production]
    position = np.minimum(((u - share) / (1 - share) * len(candidates)).astype(np.int64), len(candidates) - 1)
    arms: NDArray[np.int64] = np.where(u < share, production, candidates[position])
    return arms


def _spread(members: NDArray[np.bool_], rows: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """bool[count]: `members`, of the rows at `rows`; False elsewhere."""
    found = np.zeros(count, dtype=np.bool_)
    found[rows] = members
    return found
