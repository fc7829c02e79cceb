"""The claims of an Action and a Propensity: every pair that contradicts is told, and hardly any other."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_schemas import records as r
from event_schemas.slices import Slice
from stream_processors.rule.claims import claims_of, may_contradict, which_may_contradict
from stream_processors.rule.event_limits import contradiction
from stream_processors.rule.join_rule import JoinRule
from tests.stream_processors.event_log import box_rule, small_rule

RULES = {"grid": small_rule(), "box": box_rule()}
LISTS = {"grid": [[], [0.2] * 5, [0.0, 0.0, 1.0, 0.0, 0.0]], "box": [[], [0.75, 0.25], [0.5, 0.5]]}


def together(rule: JoinRule, action: dict[str, Any], propensity: dict[str, Any]) -> int:
    return claims_of(r.ACTION, action, rule) | claims_of(r.PROPENSITY, propensity, rule)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_pair_that_contradicts_is_missed(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(RULES)))
    rule = RULES[kind]
    arms = st.integers(0, rule.arms - 1)
    action = {
        "arm": data.draw(arms),
        "slice": data.draw(st.sampled_from([each.value for each in Slice])),
        "eligible": data.draw(st.lists(arms, max_size=2)),
    }
    propensity = {
        "propensity": data.draw(st.sampled_from([0.2, 0.25, 0.5, 0.75, 1.0])),
        "probabilities": data.draw(st.sampled_from(LISTS[kind])),
        "log_density": data.draw(st.sampled_from([None, 0.5])) if kind == "box" else None,
    }
    claims = together(rule, action, propensity)
    if contradiction(action, propensity, rule) is not None:
        assert may_contradict(claims)
    if not propensity["probabilities"]:
        assert may_contradict(claims) == (contradiction(action, propensity, rule) is not None)
    assert which_may_contradict(np.array([claims], np.uint8)).tolist() == [may_contradict(claims)]


@pytest.mark.parametrize("kind", RULES)
def test_one_of_the_two_alone_contradicts_nothing(kind: str) -> None:
    rule = RULES[kind]
    for arm, drawn in product(range(rule.arms), Slice):
        assert not may_contradict(claims_of(r.ACTION, {"arm": arm, "slice": drawn.value}, rule))
    for listed, density in product(LISTS[kind], [None, 0.5] if kind == "box" else [None]):
        assert not may_contradict(claims_of(r.PROPENSITY, {"probabilities": listed, "log_density": density}, rule))
    assert claims_of(r.REQUEST, {}, rule) == 0
