"""What each row says its arm was drawn from: the probabilities that it logs, or else the experiment's exploration.

No array has a cell for every row and arm: logged probabilities are read a block of rows at a time, and rows that the
experiment explored share a distribution if they allowed the same arms.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from learner.examples.learning_rows import LearningRows
from learner.judgement.candidate_policies import exploration_by_row
from off_policy.marginal_weights import SharedFeatures, class_shares, feature_classes
from off_policy.row_distributions import RowDistributions, SharedDistributions

PROPENSITY_TOLERANCE = 1e-6
ROUNDING = 1e-3
"""How far a propensity may be from the probability of its arm, relative to it: other systems write few digits."""


@dataclass(frozen=True, eq=False)
class DeclaredDistributions:
    """`logged` bool[n]: whether the row's own probabilities count; `own` are those of the rows where they do.

    `explored` are the distributions of the experiment's exploration, of the other rows. Both are in the rows' order.
    """

    logged: NDArray[np.bool_]
    own: RowDistributions
    explored: SharedDistributions

    @classmethod
    def of(cls, rows: LearningRows, experiment: Experiment) -> Self:
        """Probabilities that are no distribution over all arms do not count: an absurd number would distort sums."""
        arms = experiment.action_space.arms
        listed = rows.frame["propensity_probabilities"]
        whole = (listed.list.len().fill_null(0) == arms).to_numpy()
        given = _logged(listed, np.flatnonzero(whole), arms)
        logged = whole.copy()
        logged[whole] = _sound(given)
        explored = exploration_by_row(rows, experiment)
        explored = replace(explored, group=explored.group[~logged])
        return cls(logged, _logged(listed, np.flatnonzero(logged), arms), explored)

    def shares_of(self, arms: NDArray[np.int64]) -> NDArray[np.float64]:
        """float64[n]: the probability of arm `arms[i]` in row i."""
        shares = np.empty(len(arms))
        shares[self.logged] = self.own.at(arms[self.logged])
        shares[~self.logged] = self.explored.at(arms[~self.logged])
        return shares

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """int64[n]: equal for rows that declare the same distribution in the same way."""
        groups = np.empty(len(self.logged), dtype=np.int64)
        groups[self.logged] = -1 - _numbered(self.own)
        groups[~self.logged] = self.explored.group
        return groups

    @cached_property
    def _places(self) -> NDArray[np.int64]:
        """int64[n]: the place of each row among those whose distributions are held together with its own."""
        return np.where(self.logged, np.cumsum(self.logged), np.cumsum(~self.logged)) - 1

    def of_row(self, row: int) -> NDArray[np.float64]:
        """float64[arms]: the distribution that a row declares."""
        held = self.own if self.logged[row] else self.explored
        place = int(self._places[row])
        distribution: NDArray[np.float64] = held.block(slice(place, place + 1))[0]
        return distribution

    def expected_counts(self, counted: NDArray[np.bool_]) -> NDArray[np.float64]:
        """float64[arms]: how often each arm is expected in the rows `counted`, bool[n]."""
        return self.own.total(counted[self.logged]) + self.explored.total(counted[~self.logged])


def shared_features(rows: LearningRows, experiment: Experiment) -> SharedFeatures | None:
    """Which arms of a catalogue are alike, and how probable each row says that the arms like its own were.

    None if no two arms are alike, or if the distribution of a row is not known: it would give the row's arm another
    probability than the propensity.
    """
    space = experiment.action_space
    classes = feature_classes(space.features) if space.kind == "catalogue" else None
    if classes is None:
        return None
    declared, arms = DeclaredDistributions.of(rows, experiment), rows.arms
    if not np.allclose(declared.shares_of(arms), rows.propensities, rtol=ROUNDING, atol=0.0):
        return None
    shares = np.empty(rows.count)
    shares[declared.logged] = class_shares(declared.own, classes, arms[declared.logged])
    shares[~declared.logged] = class_shares(declared.explored, classes, arms[~declared.logged])
    return SharedFeatures(classes, shares)


def _logged(listed: pl.Series, places: NDArray[np.int64], arms: int) -> RowDistributions:
    """The probabilities that the rows at `places` log, one for each arm."""

    def read(members: NDArray[np.int64]) -> NDArray[np.float64]:
        numbers = listed.gather(places[members]).explode().cast(pl.Float64).to_numpy()
        return numbers.reshape(len(members), arms)

    return SharedDistributions(np.arange(len(places)), arms, read)


def _numbered(given: RowDistributions) -> NDArray[np.int64]:
    """int64[n]: a number for each distinct distribution, from 0."""
    numbers: dict[bytes, int] = {}
    found = np.empty(given.rows, dtype=np.int64)
    for part in given.blocks():
        keys = [sha256(row.tobytes()).digest() for row in given.block(part)]
        found[part] = [numbers.setdefault(key, len(numbers)) for key in keys]
    return found


def _sound(given: RowDistributions) -> NDArray[np.bool_]:
    """bool[n]: whether each row is a distribution."""
    sound = np.zeros(given.rows, dtype=np.bool_)
    for part in given.blocks():
        numbers = given.block(part)
        inside = ((numbers >= 0.0) & (numbers <= 1.0)).all(axis=1)
        sound[part] = inside & (np.abs(numbers.sum(axis=1) - 1.0) <= PROPENSITY_TOLERANCE * given.arms)
    return sound
