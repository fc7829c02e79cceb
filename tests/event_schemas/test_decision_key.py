"""Copies of an example have one key, decisions that share an id have several."""

from __future__ import annotations

from event_schemas.decision_key import DecisionKey


def test_the_time_of_the_request_tells_decisions_of_one_id_apart() -> None:
    first = {"request": {"request_id": "a", "event_time": 100, "cohort": "X"}, "outcome": {}}
    copy = {"request": {"request_id": "a", "event_time": 100, "cohort": "Y"}, "outcome": {"closed_early": True}}
    again = {"request": {"request_id": "a", "event_time": 900}}
    assert DecisionKey.of_example(first) == DecisionKey.of_example(copy) == DecisionKey("a", 100)
    assert DecisionKey.of_example(again) != DecisionKey.of_example(first)
    assert str(DecisionKey.of_example(again)) == "a of 900"
