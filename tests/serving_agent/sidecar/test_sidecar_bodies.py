"""JSON in and out: limits, defaults, and the agent's terms."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from serving_agent.sidecar.sidecar_bodies import AppliedBody, DecisionBody, EngagementBody


def test_everything_is_optional() -> None:
    request = DecisionBody().as_request()
    assert (request.request_id, request.context, list(request.history)) == (None, {}, [])


def test_null_stands_for_absent() -> None:
    assert DecisionBody.model_validate(dict.fromkeys(DecisionBody.model_fields)) == DecisionBody()
    assert AppliedBody.model_validate(dict.fromkeys(AppliedBody.model_fields)) == AppliedBody()
    assert EngagementBody.model_validate({"request_id": "r", "kind": "k", "value": None}).value == 1.0
    assert DecisionBody.model_validate({"context": {"a": None, "b": 1}}).context == {"b": 1}
    assert AppliedBody.model_validate({"heads": {"repin": None}}).heads == {}


def test_context_keeps_its_types() -> None:
    body = DecisionBody.model_validate({"context": {"a": "x", "b": 1, "c": 0.5, "d": True, "e": "1"}})
    assert body.as_request().context == {"a": "x", "b": 1, "c": 0.5, "d": True, "e": "1"}


def test_previous_decisions_are_those_of_the_agent_and_an_empty_list_is_not_absent() -> None:
    earlier = {"event_time": 5, "weights": {"repin": 91.6, "p2p": 9.1}}
    assert DecisionBody.model_validate({"previous": [earlier]}).as_request().previous == [earlier]
    assert DecisionBody.model_validate({"previous": []}).as_request().previous == []
    assert DecisionBody.model_validate({"previous": None}).as_request().previous is None


@pytest.mark.parametrize(
    "body",
    [
        {"unknown": 1},
        {"user_embedding": [float("nan")]},
        {"user_embedding": [1e39]},
        {"user_embedding": ["x"]},
        {"context": {"a": float("inf")}},
        {"history": [{"item_id": "i"}]},
        {"history": [{"item_id": "i", "action_type": "s", "event_time": -1}]},
        {"eligible": [1.5]},
        {"previous": [{"event_time": 1}]},
        {"previous": [{"event_time": 1.5, "weights": {}}]},
        {"previous": [{"event_time": 1, "weights": {"repin": float("nan")}}]},
        {"previous": [{"event_time": 1, "weights": [1.0]}]},
        {"request_id": ""},
        {"user_id": "\ud800"},
    ],
)
def test_unusable_decisions_are_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DecisionBody.model_validate(body)


@pytest.mark.parametrize("head", [{}, {"count": 0, "mean": 0, "p10": 0, "p50": 0, "p90": 0}, {"count": 1, "mean": "x"}])
def test_unusable_heads_are_refused(head: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AppliedBody.model_validate({"heads": {"repin": head}})


@pytest.mark.parametrize("body", [{}, {"request_id": "r"}, {"request_id": "r", "kind": "k", "value": float("nan")}])
def test_unusable_engagements_are_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EngagementBody.model_validate(body)
