"""What an Action and a Propensity claim about each other, so that only pairs that may contradict are decoded.

Comparing every pair would double the cost of a join. A claim is a set of bits: those of a Propensity say what it has,
and those of an Action, shifted, what a Propensity must not have if they are to agree at once. All others are compared
by `event_limits.contradiction`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from event_schemas import records as r
from event_schemas.action_space import VECTOR
from event_schemas.slices import Slice
from stream_processors.rule.join_rule import JoinRule

LISTS, DENSE, BARE = 1, 2, 4
"""A Propensity lists probabilities; has the density of a vector; has none, in a box."""
OF_ACTION = 3
"""How far the bits of an Action are shifted."""
ANY_ACTION, OF_PRODUCTION, OF_EXPLORED = (bits << OF_ACTION for bits in (LISTS, LISTS | DENSE, LISTS | BARE))
"""What may contradict any Action, production in a box, and a vector that was explored."""


def claims_of(name: str, record: Mapping[str, Any], rule: JoinRule) -> int:
    """What a valid record claims; nothing if it is neither an Action nor a Propensity."""
    if name == r.ACTION:
        if rule.box is None:
            return ANY_ACTION
        if record["arm"] != VECTOR:
            return OF_PRODUCTION
        return OF_EXPLORED if record["slice"] == Slice.EXPLORE else ANY_ACTION
    if name == r.PROPENSITY:
        listed = LISTS if record["probabilities"] else 0
        if rule.box is None:
            return listed
        return listed | (BARE if record["log_density"] is None else DENSE)
    return 0


def may_contradict(claims: int) -> bool:
    """Whether an Action and a Propensity with these claims together may contradict each other."""
    return bool(claims >> OF_ACTION & claims)


def which_may_contradict(claims: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """`may_contradict` of many pairs."""
    found: NDArray[np.bool_] = (claims >> OF_ACTION & claims) != 0
    return found
