"""Which rows of a block do not contradict themselves: `event_limits` in columns.

A row that is not certainly consistent is doubtful and is validated alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from event_schemas.action_space import VECTOR
from stream_processors.columns.array_types import Mask
from stream_processors.rule.box_limits import BoxLimits
from stream_processors.rule.event_limits import CHOOSING, PROBABILITY_TOLERANCE, ROUNDING, sum_tolerance
from stream_processors.rule.join_rule import JoinRule


def consistent_weights(actions: pl.DataFrame, rule: JoinRule, symbols: list[str]) -> Mask:
    """Actions without weights or with those of their arm, and whose arm is eligible where the slice chooses one.

    In a box, the vector of arm 0 must be there and inside the bounds, and so must a shadow's vector if there is one.
    The slice is the index of one of the `symbols`.
    """
    chooses = [place for place, symbol in enumerate(symbols) if symbol in CHOOSING]
    eligible = actions["eligible"].list
    sure: Mask = (eligible.len() == 0).to_numpy().copy()
    if not sure.all():
        listed = pl.col("eligible").list.contains(pl.col("arm")) | ~pl.col("slice").is_in(chooses)
        sure |= actions.select(listed).to_series().to_numpy()
    given, arms = actions["weights"].list.len().to_numpy(), actions["arm"].to_numpy()
    vectors: Mask = (arms == VECTOR) if rule.box is not None else np.zeros(len(arms), np.bool_)
    in_range = (arms >= 0) & (arms < rule.arms)
    whole = (given == rule.arm_weights.width) & in_range
    matching: Mask = (given == 0) & ~vectors
    numbers = _matrix(actions["weights"], whole, rule.arm_weights.width)
    matching[whole] = rule.arm_weights.match(arms[whole], numbers)
    if rule.box is not None:
        matching[whole & vectors] = rule.box.inside(numbers[vectors[whole]])
        if "shadow_weights" in actions.columns:
            matching &= _shadows_inside(actions["shadow_weights"], rule.box, rule.arm_weights.width)
    return sure & matching


def _shadows_inside(shadows: pl.Series, box: BoxLimits, width: int) -> Mask:
    """Actions without a shadow's vector, or with one inside the box."""
    given = shadows.list.len().to_numpy()
    sure: Mask = given == 0
    if sure.all():
        return sure
    whole = given == width
    sure[whole] = box.inside(_matrix(shadows, whole, width))
    return sure


def consistent_distributions(propensities: pl.DataFrame, listed: Mask, rule: JoinRule) -> Mask:
    """Propensities without probabilities, or with one for each arm that sum to 1 and of which the propensity is one."""
    sure: Mask = ~listed
    if sure.all():
        return sure
    whole = propensities["probabilities"].list.len().to_numpy() == rule.arms
    given = _matrix(propensities["probabilities"], whole, rule.arms)
    propensity = propensities["propensity"].to_numpy()[whole][:, None]
    within = ((given >= 0.0) & (given <= 1.0)).all(axis=1)
    one = np.abs(given.sum(axis=1) - 1.0) <= sum_tolerance(rule.arms) / 2
    named = (np.abs(propensity - given) <= PROBABILITY_TOLERANCE * given + ROUNDING).any(axis=1)
    sure[whole] = within & one & named
    return sure


def _matrix(lists: pl.Series, whole: Mask, width: int) -> NDArray[np.float64]:
    """The lists of the rows `whole`, all of which have `width` numbers."""
    rows = lists if whole.all() else lists.filter(pl.Series(whole))
    numbers: NDArray[Any] = rows.explode().to_numpy() if width else np.zeros(0)
    return numbers.astype(np.float64).reshape(int(np.count_nonzero(whole)), width)
