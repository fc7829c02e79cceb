"""What the Actions and Propensities of a block claim: `claims.claims_of` in columns."""

from __future__ import annotations

import numpy as np
import polars as pl

from event_schemas.action_space import VECTOR
from event_schemas.slices import Slice
from stream_processors.columns.array_types import Claims, Mask
from stream_processors.rule.claims import ANY_ACTION, BARE, DENSE, LISTS, OF_EXPLORED, OF_PRODUCTION
from stream_processors.rule.join_rule import JoinRule


def claims_of_actions(actions: pl.DataFrame, rule: JoinRule, symbols: list[str]) -> Claims:
    """The slice is the index of one of the `symbols`."""
    claims = np.full(actions.height, ANY_ACTION, np.uint8)
    if rule.box is not None:
        vectors: Mask = (actions["arm"] == VECTOR).to_numpy()
        explored: Mask = (actions["slice"] == symbols.index(Slice.EXPLORE)).to_numpy()
        claims[vectors & explored] = OF_EXPLORED
        claims[~vectors] = OF_PRODUCTION
    return claims


def claims_of_propensities(propensities: pl.DataFrame, listed: Mask, rule: JoinRule) -> Claims:
    """`listed` says which list probabilities."""
    claims = np.where(listed, LISTS, 0).astype(np.uint8)
    if rule.box is not None:
        known = "log_density" in propensities.columns
        claims |= np.where(propensities["log_density"].is_not_null(), DENSE, BARE).astype(np.uint8) if known else BARE
    return claims
