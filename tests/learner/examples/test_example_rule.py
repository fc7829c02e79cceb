"""A row is unusable exactly if it has a fault message; a missing value is a fault too."""

import math
from typing import Any

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from event_schemas.experiment import Experiment
from learner.examples.example_rule import EVENT_TIME, REQUEST_ID, ExampleRule
from learner.examples.time_limit import TimeLimit

LATEST = 1_800_000_000_000
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    REQUEST_ID: st.sampled_from(["", None]),
    EVENT_TIME: st.integers(LATEST + 1, 2**63 - 1) | st.none(),
    "propensity_propensity": st.sampled_from([0.0, -1.0, 1.1, 5e-324, math.nan, math.inf, None]),
    "action_arm": st.integers(-(2**31), -1) | st.integers(1_000_000, 2**31 - 1) | st.none(),
    "action_eligible": st.sampled_from([None, [-1], [0, 2**31 - 1]]),
}
CHANGE = st.sampled_from(sorted(FIELDS)).flatmap(lambda name: st.tuples(st.just(name), FIELDS[name]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(change=CHANGE, at=st.integers(0, 4))
def test_one_fault_makes_one_row_unusable(world: Any, experiment: Experiment, change: tuple[str, Any], at: int) -> None:
    rule = ExampleRule(experiment.action_space, TimeLimit(not_after=LATEST))
    frame = world.decoded(world.examples(5))
    name, value = change
    column = pl.Series([value if row == at else old for row, old in enumerate(frame[name])], dtype=frame.schema[name])
    frame = frame.with_columns(column.alias(name))
    judged = frame.select(rule.unusable().alias("unusable"), rule.fault().alias("fault"))
    assert judged["unusable"].to_list() == [row == at for row in range(5)]
    assert [bool(fault) for fault in judged["fault"]] == [row == at for row in range(5)]


def test_arms_of_another_action_space_are_not_judged(world: Any, experiment: Experiment) -> None:
    frame = world.decoded(world.examples(2)).with_columns(
        action_arm=pl.lit(1_000_000, pl.Int32), action_action_space=pl.lit("another")
    )
    assert frame.select(ExampleRule(experiment.action_space).unusable().any()).item() is False
