"""What callers write becomes a Request record that Avro takes."""

from __future__ import annotations

import numpy as np
import pytest

from serving_agent.decide.decision_errors import InvalidRequest
from serving_agent.decide.decision_request import DecisionRequest
from tests.serving_samples import NOW, codec


def test_context_values_become_text_and_arrays_become_lists() -> None:
    request = DecisionRequest(
        user_embedding=np.array([0.5, 1.5], dtype=np.float32),  # type: ignore[arg-type]
        context={"surface": "home", "hour": 3, "score": 0.1, "new": np.bool_(True)},  # type: ignore[dict-item]
        history=[{"item_id": "i", "action_type": "save", "event_time": 5}],  # type: ignore[typeddict-item]
    )
    record = request.as_record("r", NOW)
    assert {feature["name"]: feature["value"] for feature in record["context"]} == {
        "surface": "home",
        "hour": "3",
        "score": "0.1",
        "new": "true",
    }
    assert record["user_embedding"] == [0.5, 1.5]
    assert record["history"] == [{"item_id": "i", "action_type": "save", "event_time": 5, "embedding": []}]
    assert codec().decode(codec().encode("Request", record)).record == record


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (DecisionRequest(user_embedding=["x"]), "user_embedding"),  # type: ignore[list-item]
        (DecisionRequest(user_id="\udfff"), "user_id is not UTF-8"),
        (DecisionRequest(cohort=["CORE"]), "cohort is not UTF-8 text"),  # type: ignore[arg-type]
        (DecisionRequest(context={"surface": "\ud800"}), "context.surface"),
        (
            DecisionRequest(history=[{"item_id": "i", "action_type": "s", "event_time": "x", "embedding": []}]),  # type: ignore[typeddict-item]
            r"history\[0\].event_time = 'x'",
        ),
        (
            DecisionRequest(history=[{"item_id": "i", "action_type": "s", "event_time": [10**5000], "embedding": []}]),  # type: ignore[typeddict-item]
            r"history\[0\].event_time = <list> is not a whole number",
        ),
        (DecisionRequest(history=[{"item_id": "i"}]), r"history\[0\] lacks"),  # type: ignore[typeddict-item]
        (DecisionRequest(history=[None]), r"history\[0\] is a NoneType"),  # type: ignore[list-item]
        (DecisionRequest(history=None), "history is not a list"),  # type: ignore[arg-type]
        (DecisionRequest(context=None), "context is a NoneType"),  # type: ignore[arg-type]
        (DecisionRequest(context={"surface": None}), "context.surface is a NoneType"),  # type: ignore[dict-item]
        (DecisionRequest(context={"big": 10**5000}), "context.big has too many digits"),
        (DecisionRequest(user_embedding=[10**400]), "user_embedding is not a list of numbers"),
        (DecisionRequest(user_embedding=[1e39]), "user_embedding holds a number outside"),
        (
            DecisionRequest(history=[{"item_id": "i", "action_type": "s", "event_time": 2**63, "embedding": []}]),
            "does not fit into 64 bits",
        ),
    ],
)
def test_unusable_fields_are_named(request_: DecisionRequest, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        request_.as_record("r", NOW)
