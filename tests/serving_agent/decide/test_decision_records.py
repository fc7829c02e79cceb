"""The records of a decision, as Avro takes them."""

from __future__ import annotations

from typing import Any

import pytest

from event_schemas.slices import Slice
from serving_agent.decide.decision_errors import InvalidConfirmation
from serving_agent.decide.decision_records import DecisionFacts, action_record, propensity_record, ranking_record
from serving_agent.decide.fallback_reason import FallbackReason
from tests.serving_samples import NOW, box_experiment, codec, serving_experiment

GOOD = {"count": 5, "mean": 0.5, "p10": 0.25, "p50": 0.5, "p90": 0.75}
OUTCOME = DecisionFacts(
    request_id="r",
    event_time=NOW,
    eligible=(1, 9),
    weights={"repin": 91.6, "p2p": 9.1},
    arm=9,
    slice=Slice.FALLBACK,
    propensity=1.0,
    slice_probability=0.5,
    sampling_rate=0.25,
    logged=True,
    policy_version="production",
    config_revision=3,
    fallback_reason=FallbackReason.DRIFT,
    shadow_arm=2,
    experiment_arm="control",
)


def test_records_survive_avro() -> None:
    action = action_record(OUTCOME, serving_experiment().action_space)
    propensity = propensity_record(OUTCOME)
    ranking = ranking_record(OUTCOME, {"repin": GOOD}, ["a", "b"], "ranker-1")
    for name, record in (("Action", action), ("Propensity", propensity), ("Ranking", ranking)):
        assert codec().decode(codec().encode(name, record)).record == record
        assert (record["request_id"], record["event_time"]) == ("r", NOW)
    assert (action["weights"], action["eligible"]) == ([91.6, 9.1], [1, 9])
    assert (action["fallback_reason"], action["shadow_arm"], action["experiment_arm"]) == ("drift", 2, "control")


def test_vectors_densities_and_distributions_are_written() -> None:
    fields: dict[str, Any] = {
        "arm": 0,
        "weights": {"repin": 12.5, "p2p": 3.25},
        "vector": (12.5, 3.25),
        "log_density": -0.5,
        "probabilities": (0.25, 0.75),
        "shadow_weights": (20.0, 4.0),
        "exploration": "d" * 64,
    }
    facts = OUTCOME._replace(**fields)
    action, propensity = action_record(facts, box_experiment().action_space), propensity_record(facts)
    for name, record in (("Action", action), ("Propensity", propensity)):
        assert codec().decode(codec().encode(name, record)).record == record
    assert (action["weights"], action["shadow_weights"]) == ([12.5, 3.25], [20.0, 4.0])
    assert (propensity["log_density"], propensity["exploration"]) == (-0.5, "d" * 64)
    assert propensity["probabilities"] == [0.25, 0.75]


def test_what_a_caller_does_to_the_weights_is_not_logged() -> None:
    facts = OUTCOME._replace(weights={"repin": 1.0})
    assert action_record(facts, serving_experiment().action_space)["weights"] == [91.6, 9.1]


@pytest.mark.parametrize(
    "fault",
    [
        {"count": 0},
        {"count": 1e30},
        {"count": None},
        {"count": 10**5000},
        {"mean": float("nan")},
        {"p90": float("inf")},
        {"mean": 1e39},
        {"p10": 0.6},
        {"p50": "x"},
    ],
)
def test_unusable_heads_are_named(fault: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfirmation, match=r"heads\.repin"):
        ranking_record(OUTCOME, {"repin": {**GOOD, **fault}}, (), "")


def test_a_missing_field_is_named() -> None:
    with pytest.raises(InvalidConfirmation, match="p10"):
        ranking_record(OUTCOME, {"repin": {"count": 1, "mean": 0.5}}, (), "")


def test_text_that_avro_cannot_write_is_refused() -> None:
    for heads, served, version in (({"\ud800": GOOD}, [], ""), ({}, ["\ud800"], ""), ({"repin": GOOD}, [], "\ud800")):
        with pytest.raises(InvalidConfirmation, match="UTF-8"):
            ranking_record(OUTCOME, heads, served, version)
