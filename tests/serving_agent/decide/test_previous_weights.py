"""What callers say was served before becomes records in the order of the experiment file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from event_schemas.records import MOST_PREVIOUS
from serving_agent.decide.decision_errors import InvalidRequest
from serving_agent.decide.decision_request import DecisionRequest
from serving_agent.decide.previous_weights import FURTHEST_AHEAD_MS, previous_records
from tests.serving_samples import NOW, codec

NAMES = ("repin", "p2p")


def entry(before: int = 1000, **weights: Any) -> dict[str, Any]:
    return {"event_time": NOW - before, "weights": {"repin": 91.6, "p2p": 9.1, **weights}}


def test_weights_come_in_the_order_of_the_file_whatever_the_order_of_the_names() -> None:
    swapped = {"event_time": np.int64(NOW - 2000), "weights": {"p2p": np.float32(0.5), "repin": 7}}
    request = DecisionRequest(previous=[entry(), swapped])  # type: ignore[list-item]
    record = request.as_record("r", NOW, NAMES)
    assert record["previous"] == [
        {"event_time": NOW - 1000, "weights": [91.6, 9.1]},
        {"event_time": NOW - 2000, "weights": [7.0, 0.5]},
    ]
    assert codec().decode(codec().encode("Request", record)).record == record


@pytest.mark.parametrize("previous", [None, [], ()])
def test_nothing_is_an_empty_array_for_a_catalogue_too(previous: Any) -> None:
    assert previous_records(previous, NAMES, NOW) == previous_records(previous, (), NOW) == []


def test_what_is_harmless_is_tolerated() -> None:
    many = [entry(1000 + slot) for slot in range(MOST_PREVIOUS + 5)]
    kept = previous_records(many, NAMES, NOW)  # type: ignore[arg-type]
    assert [each["event_time"] for each in kept] == [NOW - 1000 - slot for slot in range(MOST_PREVIOUS)]
    # Two decisions of one millisecond, another node's clock ahead, weights outside the bounds of today's file.
    odd = [entry(-FURTHEST_AHEAD_MS, repin=-1e6), entry(-FURTHEST_AHEAD_MS), entry(10**12)]
    assert len(previous_records(odd, NAMES, NOW)) == 3  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("previous", "message"),
    [
        (5, "previous is not a list"),
        ([None], r"previous\[0\] is a NoneType"),
        ([entry(), {"weights": {}}], r"previous\[1\] lacks event_time"),
        ([{"event_time": NOW}], r"previous\[0\] lacks weights"),
        ([{"event_time": "x", "weights": {"repin": 1, "p2p": 1}}], r"event_time = 'x' is not a whole number"),
        ([{"event_time": NOW // 1000, "weights": {"repin": 1, "p2p": 1}}], "looks like seconds"),
        ([{"event_time": NOW * 1000, "weights": {"repin": 1, "p2p": 1}}], "looks like microseconds"),
        ([{"event_time": NOW, "weights": [91.6, 9.1]}], "weights is a list"),
        ([{"event_time": NOW, "weights": {"repin": 1}}], r"previous\[0\].weights lacks p2p"),
        ([entry(p2p=None)], "weights lacks p2p"),
        ([entry(closeup=1)], "weights names 'closeup', which the experiment does not tune"),
        ([entry(p2p="x")], "something else than numbers"),
        ([entry(p2p=float("nan"))], "not finite"),
        ([entry(p2p=float("inf"))], "not finite"),
        ([entry(p2p=1e39)], "too large"),
        ([entry(p2p=10**400)], "something else than numbers"),
        ([entry(1000), entry(999)], r"previous\[1\].event_time .* is after the entry before it"),
        ([entry(-FURTHEST_AHEAD_MS - 1)], r"previous\[0\].event_time .* is after its request"),
    ],
)
def test_the_rest_is_refused_and_named(previous: Any, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as caught:
        DecisionRequest(previous=previous).as_record("r", NOW, NAMES)
    assert caught.value.fix


def test_a_catalogue_has_no_weights() -> None:
    with pytest.raises(InvalidRequest, match="a catalogue has no weights"):
        DecisionRequest(previous=[{"event_time": NOW, "weights": {}}]).as_record("r", NOW)
