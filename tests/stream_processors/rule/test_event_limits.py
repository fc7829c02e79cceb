"""Limits of values: each fault names field and value."""

from __future__ import annotations

import math
from typing import Any

import pytest

from event_schemas import records as r
from stream_processors.rule.event_limits import fault_of
from tests.stream_processors.event_log import CODEC, EventLog, small_rule

VALID = {
    CODEC.decode(record.value).name: CODEC.decode(record.value).record
    for log in [EventLog()]
    for record in (
        log.request("a", 1, history=[{"item_id": "i", "action_type": "save", "event_time": 0, "embedding": [1.0]}]),
        log.action("a", 1, shadow_arm=4, eligible=[0, 2]),
        log.propensity("a", 1, probabilities=[0.0, 1.0]),
        log.ranking("a", 1),
        log.engagement("a", 1, engagement_id="e"),
        log.heartbeat(1),
    )
}


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        (r.ACTION, "arm", 0),
        (r.ACTION, "arm", 4),
        (r.ACTION, "shadow_arm", 0),
        (r.ACTION, "shadow_arm", 4),
        (r.ACTION, "eligible", [0, 4]),
        (r.PROPENSITY, "propensity", 1.0),
        (r.ENGAGEMENT, "value", -1e12),
        (r.ENGAGEMENT, "value", 1e12),
    ],
)
def test_values_at_their_limits_are_valid(name: str, field: str, value: Any) -> None:
    assert fault_of(name, VALID[name] | {field: value}, small_rule()) is None


@pytest.mark.parametrize("name", VALID)
def test_valid_records_have_no_fault(name: str) -> None:
    assert fault_of(name, VALID[name], small_rule()) is None


@pytest.mark.parametrize(
    ("name", "field", "value", "fault"),
    [
        (r.REQUEST, "request_id", "", "request_id is empty"),
        (r.REQUEST, "user_embedding", [0.0, math.nan], "user_embedding[1] = nan is not finite"),
        (
            r.REQUEST,
            "history",
            [{"item_id": "i", "action_type": "s", "event_time": 0, "embedding": [math.inf]}],
            "history[0].embedding[0] = inf is not finite",
        ),
        (r.ACTION, "arm", 5, "arm = 5 is not one of the arms 0 to 4"),
        (r.ACTION, "arm", -1, "arm = -1 is not one of the arms 0 to 4"),
        (r.ACTION, "shadow_arm", 9, "shadow_arm = 9 is not one of the arms 0 to 4"),
        (r.ACTION, "shadow_arm", 5, "shadow_arm = 5 is not one of the arms 0 to 4"),
        (r.ACTION, "shadow_arm", -1, "shadow_arm = -1 is not one of the arms 0 to 4"),
        (r.ACTION, "eligible", [0, 5], "eligible[1] = 5 is not one of the arms 0 to 4"),
        (r.ACTION, "eligible", [-1], "eligible[0] = -1 is not one of the arms 0 to 4"),
        (r.ACTION, "weights", [-math.inf], "weights[0] = -inf is not finite"),
        (r.PROPENSITY, "propensity", 0.0, "propensity = 0.0 is outside (0, 1]"),
        (r.PROPENSITY, "propensity", 1.5, "propensity = 1.5 is outside (0, 1]"),
        (r.PROPENSITY, "slice_probability", -0.1, "slice_probability = -0.1 is outside (0, 1]"),
        (r.PROPENSITY, "sampling_rate", math.nan, "sampling_rate = nan is outside (0, 1]"),
        (r.PROPENSITY, "probabilities", [0.5, 1.1], "probabilities[1] = 1.1 is outside [0, 1]"),
        (r.ENGAGEMENT, "engagement_id", "", "engagement_id is empty"),
        (r.ENGAGEMENT, "value", math.nan, "value = nan is outside ±1e+12"),
        (r.ENGAGEMENT, "value", 1e12 + 1, "value = 1000000000001.0 is outside ±1e+12"),
        (r.ENGAGEMENT, "value", -1.7e308, "value = -1.7e+308 is outside ±1e+12"),
    ],
)
def test_a_fault_names_field_and_value(name: str, field: str, value: Any, fault: str) -> None:
    assert fault_of(name, VALID[name] | {field: value}, small_rule()) == fault


def test_another_action_space_is_a_fault() -> None:
    fault = fault_of(r.ACTION, VALID[r.ACTION] | {"action_space": "beef"}, small_rule())
    assert fault is not None
    assert "action_space = 'beef'" in fault


def test_a_head_that_is_not_finite_is_a_fault() -> None:
    head = {"head": "click", "count": 1, "mean": math.nan, "p10": 0.0, "p50": 0.0, "p90": 0.0}
    assert (
        fault_of(r.RANKING, VALID[r.RANKING] | {"heads": [head]}, small_rule())
        == "heads 'click'[0] = nan is not finite"
    )


def test_records_of_other_topics_do_not_belong() -> None:
    assert fault_of(r.TALLY, {}, small_rule()) == "record type Tally does not belong on the events topic"
