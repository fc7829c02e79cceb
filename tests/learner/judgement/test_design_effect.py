"""The design effect of explored units is that of all units."""

import numpy as np
import pytest

from event_schemas.exploration_units import session_request_id
from learner.judgement.design_effect import design_effect


def test_it_is_the_size_of_a_unit_as_a_decision_sees_it() -> None:
    ids = [session_request_id("a", str(number)) for number in range(3)] + ["b~0", "c"]
    assert design_effect(ids, "session") == pytest.approx((3**2 + 1 + 1) / 5)
    assert design_effect(ids, "request") == 1.0
    assert design_effect([], "session") == 1.0


def test_explored_sessions_have_the_sizes_of_all() -> None:
    rng = np.random.default_rng(5)
    sizes = rng.geometric(1 / 2.5, 20_000)
    explored = np.flatnonzero(rng.random(len(sizes)) < 0.1)
    ids = (session_request_id(str(unit), str(number)) for unit in explored for number in range(sizes[unit]))
    assert design_effect(ids, "session") == pytest.approx(float((sizes**2).sum() / sizes.sum()), rel=0.05)
