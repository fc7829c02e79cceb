"""Limits of values: each fault names field and value."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from event_schemas import records as r
from stream_processors.rule.arm_weights import ArmWeights
from stream_processors.rule.event_limits import contradiction, fault_of
from tests.stream_processors.event_log import BOX_SPACE, CODEC, EventLog, box_rule, small_rule

VALID = {
    CODEC.decode(record.value).name: CODEC.decode(record.value).record
    for log in [EventLog()]
    for record in (
        log.request(
            "a",
            1,
            history=[{"item_id": "i", "action_type": "save", "event_time": 0, "embedding": [1.0]}],
            previous=[{"event_time": 0, "weights": [1.0]}],
        ),
        log.action("a", 1, shadow_arm=4, eligible=[0, 2], shadow_weights=[2.0]),
        log.propensity("a", 1, probabilities=[0.0, 0.2, 0.3, 0.5, 0.0]),
        log.ranking("a", 1),
        log.engagement("a", 1, engagement_id="e"),
        log.heartbeat(1),
    )
}


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        (r.ACTION, "shadow_arm", 0),
        (r.ACTION, "shadow_arm", 4),
        (r.ACTION, "eligible", [0, 2, 4]),
        (r.ACTION, "weights", []),
        (r.ACTION, "weights", [3.00001]),
        (r.PROPENSITY, "propensity", 0.5),
        (r.PROPENSITY, "probabilities", [0.2, 0.2, 0.2, 0.2, 0.2009]),
        (r.PROPENSITY, "exploration", "é" * 256),
        (r.ENGAGEMENT, "value", 0.0),
        (r.ENGAGEMENT, "value", 1e12),
    ],
)
def test_values_at_their_limits_are_valid(name: str, field: str, value: Any) -> None:
    assert fault_of(name, VALID[name] | {field: value}, small_rule()) is None


BOX_VALID: dict[str, dict[str, Any]] = {
    r.ACTION: {"action_space": BOX_SPACE, "arm": 0, "weights": [1.5], "shadow_arm": None, "eligible": []},
    r.PROPENSITY: {"probabilities": []},
}


@pytest.mark.parametrize(
    ("name", "fields", "fault"),
    [
        (r.ACTION, {}, None),
        (r.ACTION, {"weights": [4.0], "shadow_arm": 0, "shadow_weights": [1.0]}, None),
        (r.ACTION, {"arm": 1, "weights": [3.0]}, None),
        (r.ACTION, {"arm": 1, "weights": []}, None),
        (r.ACTION, {"weights": [4.1]}, "weights: click = 4.1 is outside its bounds, 1 to 4"),
        (r.ACTION, {"weights": []}, "weights has 0 values, but the experiment tunes 1 weights"),
        (r.ACTION, {"weights": [math.nan]}, "weights[0] = nan is not finite"),
        (r.ACTION, {"arm": 1, "weights": [2.0]}, "weights = [2.0] are not those of arm = 1: [3.0]"),
        (r.ACTION, {"arm": 2}, "arm = 2 is not one of the arms 0 to 1"),
        (r.ACTION, {"shadow_weights": [0.5]}, "shadow_weights: click = 0.5 is outside its bounds, 1 to 4"),
        (r.ACTION, {"shadow_weights": [2.0, 2.0]}, "shadow_weights has 2 values, but the experiment tunes 1 weights"),
        (r.PROPENSITY, {"log_density": -700.0}, None),
        (r.PROPENSITY, {"log_density": 700.0}, None),
        (r.PROPENSITY, {"log_density": math.nan}, "log_density = nan is not finite"),
        (r.PROPENSITY, {"log_density": -math.inf}, "log_density = -inf is not finite"),
    ],
)
def test_a_box_bounds_vectors_and_knows_densities(name: str, fields: dict[str, Any], fault: str | None) -> None:
    record = VALID[name] | BOX_VALID[name] | fields
    assert fault_of(name, record, box_rule()) == fault


def test_a_density_without_a_box_is_a_fault() -> None:
    told = "log_density = 0.5, but only vectors of a box have a density, and the action space is none"
    assert fault_of(r.PROPENSITY, VALID[r.PROPENSITY] | {"log_density": 0.5}, small_rule()) == told


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
        (
            r.REQUEST,
            "previous",
            [{"event_time": 0, "weights": []}, {"event_time": 0, "weights": [1.0, math.nan]}],
            "previous[1].weights[1] = nan is not finite",
        ),
        (r.ACTION, "arm", 5, "arm = 5 is not one of the arms 0 to 4"),
        (r.ACTION, "arm", -1, "arm = -1 is not one of the arms 0 to 4"),
        (r.ACTION, "shadow_arm", 9, "shadow_arm = 9 is not one of the arms 0 to 4"),
        (r.ACTION, "shadow_arm", 5, "shadow_arm = 5 is not one of the arms 0 to 4"),
        (r.ACTION, "shadow_arm", -1, "shadow_arm = -1 is not one of the arms 0 to 4"),
        (r.ACTION, "eligible", [0, 5], "eligible[1] = 5 is not one of the arms 0 to 4"),
        (r.ACTION, "eligible", [-1], "eligible[0] = -1 is not one of the arms 0 to 4"),
        (r.ACTION, "eligible", [0, 4], "arm = 2 is not eligible: EXPLORE chooses only among eligible = [0, 4]"),
        (r.ACTION, "weights", [-math.inf], "weights[0] = -inf is not finite"),
        (r.ACTION, "weights", [2.0], "weights = [2.0] are not those of arm = 2: [3.0]"),
        (r.ACTION, "weights", [3.001], "weights = [3.001] are not those of arm = 2: [3.0]"),
        (r.ACTION, "weights", [3.0, 1.0], "weights has 2 values, but the experiment tunes 1 weights"),
        (r.ACTION, "shadow_weights", [0.0, math.inf], "shadow_weights[1] = inf is not finite"),
        (r.PROPENSITY, "log_density", math.nan, "log_density = nan is not finite"),
        (r.PROPENSITY, "log_density", -math.inf, "log_density = -inf is not finite"),
        (r.PROPENSITY, "exploration", "e" * 257, "exploration has 257 characters, more than 256"),
        (r.PROPENSITY, "propensity", 0.0, "propensity = 0.0 is outside (0, 1]"),
        (r.PROPENSITY, "propensity", 1.5, "propensity = 1.5 is outside (0, 1]"),
        (r.PROPENSITY, "slice_probability", -0.1, "slice_probability = -0.1 is outside (0, 1]"),
        (r.PROPENSITY, "sampling_rate", math.nan, "sampling_rate = nan is outside (0, 1]"),
        (r.PROPENSITY, "probabilities", [0.5, 1.1], "probabilities[1] = 1.1 is outside [0, 1]"),
        (r.PROPENSITY, "probabilities", [0.2] * 4, "probabilities has 4 values, but the experiment has 5 arms"),
        (r.PROPENSITY, "probabilities", [0.2, 0.3, 0.3, 0.3, 0.1], "probabilities sum to 1.2, not 1"),
        (r.PROPENSITY, "probabilities", [0.2, 0.2, 0.2, 0.2, 0.1], "probabilities sum to 0.9, not 1"),
        (r.PROPENSITY, "propensity", 0.25, "propensity = 0.25 is none of the probabilities"),
        (r.ENGAGEMENT, "engagement_id", "", "engagement_id is empty"),
        (r.ENGAGEMENT, "value", math.nan, "value = nan is not between 0 and 1e+12"),
        (r.ENGAGEMENT, "value", 1e12 + 1, "value = 1000000000001.0 is not between 0 and 1e+12"),
        (r.ENGAGEMENT, "value", -1.0, "value = -1.0 is not between 0 and 1e+12"),
        (r.ENGAGEMENT, "value", -1.7e308, "value = -1.7e+308 is not between 0 and 1e+12"),
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


@pytest.mark.parametrize("slice_name", ["CONTROL", "FALLBACK"])
def test_slices_that_serve_production_do_so_even_where_it_is_not_eligible(slice_name: str) -> None:
    action = VALID[r.ACTION] | {"slice": slice_name, "arm": 4, "weights": [3.0], "eligible": [0]}
    assert fault_of(r.ACTION, action, small_rule()) is None


def test_a_policy_chooses_among_the_eligible_arms() -> None:
    fault = fault_of(r.ACTION, VALID[r.ACTION] | {"slice": "POLICY", "eligible": [0]}, small_rule())
    assert fault == "arm = 2 is not eligible: POLICY chooses only among eligible = [0]"


@pytest.mark.parametrize(
    ("action", "propensity", "fault"),
    [
        ({}, {"probabilities": []}, None),
        ({"eligible": []}, {"propensity": 0.3, "probabilities": [0.0, 0.2, 0.3, 0.5, 0.0]}, None),
        (
            {},
            {"propensity": 0.5, "probabilities": [0.0, 0.2, 0.3, 0.5, 0.0]},
            "propensity = 0.5, but its decision's arm = 2 has probabilities[2] = 0.3",
        ),
        ({"eligible": [1, 2]}, {"propensity": 0.5, "probabilities": [0.0, 0.5, 0.5, 0.0, 0.0]}, None),
        (
            {"eligible": [1, 2]},
            {"propensity": 0.5, "probabilities": [0.0, 0.25, 0.5, 0.25, 0.0]},
            "probabilities[3] = 0.25, but arm 3 is not in eligible",
        ),
        ({"eligible": [1], "slice": "CONTROL"}, {"propensity": 1.0, "probabilities": [0.0, 0.0, 1.0, 0.0, 0.0]}, None),
    ],
)
def test_what_an_action_and_a_propensity_say_of_one_draw_must_agree(
    action: dict[str, Any], propensity: dict[str, Any], fault: str | None
) -> None:
    assert contradiction(VALID[r.ACTION] | action, VALID[r.PROPENSITY] | propensity, small_rule()) == fault


@pytest.mark.parametrize("arms", [2, 5, 27, 49, 64, 81, 300, 999])
@pytest.mark.parametrize("decimals", [4, 5, 6, 15])
def test_rounded_probabilities_pass_whatever_their_number(arms: int, decimals: int) -> None:
    rule = replace(small_rule(), arms=arms)
    exact = [0.125, *[0.875 / (arms - 1)] * (arms - 1)]
    record = VALID[r.PROPENSITY] | {"probabilities": [round(each, decimals) for each in exact]}
    for propensity in {exact[0], exact[1], round(exact[1], decimals)} - {0.0}:
        assert fault_of(r.PROPENSITY, record | {"propensity": propensity}, rule) is None


@pytest.mark.parametrize(("propensity", "probability"), [(1 / 3, 0.333), (1.23456e-4, 0.000123), (1 / 49, 0.0204)])
def test_a_propensity_is_one_of_probabilities_that_are_rounded(propensity: float, probability: float) -> None:
    rest = (1 - probability) / 4
    record = VALID[r.PROPENSITY] | {"propensity": propensity, "probabilities": [probability, *[rest] * 4]}
    assert fault_of(r.PROPENSITY, record, small_rule()) is None


def test_a_sum_at_its_limit_passes_and_many_arms_do_not_excuse_a_wrong_one() -> None:
    at_limit = VALID[r.PROPENSITY] | {"probabilities": [0.2, 0.2, 0.2, 0.2, 0.201]}
    assert fault_of(r.PROPENSITY, at_limit, small_rule()) is None
    many = VALID[r.PROPENSITY] | {"propensity": 0.9 / 2000, "probabilities": [0.9 / 2000] * 2000}
    assert fault_of(r.PROPENSITY, many, replace(small_rule(), arms=2000)) == "probabilities sum to 0.9, not 1"


def test_a_probability_that_is_rounded_to_nothing_may_be_the_propensity_s() -> None:
    record = VALID[r.PROPENSITY] | {"propensity": 5e-5, "probabilities": [0.0, 0.25, 0.25, 0.25, 0.25]}
    assert fault_of(r.PROPENSITY, record, small_rule()) is None


def test_an_action_need_not_say_its_weights() -> None:
    weights = ArmWeights(np.array([[1.0, 2.0], [3.0, 4.0]]))
    rule = replace(small_rule(), arms=2, arm_weights=weights)
    silent = VALID[r.ACTION] | {"arm": 1, "shadow_arm": None, "eligible": [], "weights": []}
    assert fault_of(r.ACTION, silent, rule) is None
    assert fault_of(r.ACTION, silent | {"weights": [3.0, 4.0]}, rule) is None
    assert fault_of(r.ACTION, silent | {"weights": [3.0, 2.0]}, rule) is not None
