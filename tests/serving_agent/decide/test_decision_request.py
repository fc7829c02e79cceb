"""What callers write becomes a Request record that Avro takes."""

from __future__ import annotations

import numpy as np
import pytest

from event_schemas import records as r
from serving_agent.decide.decision_errors import InvalidRequest
from serving_agent.decide.decision_request import DecisionRequest
from stream_processors.rule.event_limits import fault_of
from tests.serving_samples import NOW, codec
from tests.stream_processors.event_log import small_rule


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


def test_none_means_absent_everywhere() -> None:
    item = {"item_id": "i", "action_type": "save", "event_time": 5}
    nothing = DecisionRequest(user_embedding=None, context=None, history=None, eligible=None)  # type: ignore[arg-type]
    assert nothing.as_record("r", NOW) == DecisionRequest().as_record("r", NOW)
    assert nothing.eligible_arms(3) == ()
    blanks = DecisionRequest(user_id=" ", session_id="", cohort="\t")
    assert blanks.as_record("r", NOW) == DecisionRequest().as_record("r", NOW)
    some = DecisionRequest(context={"surface": None, "hour": 3}, history=[{**item, "embedding": None}])  # type: ignore[typeddict-item]
    record = some.as_record("r", NOW)
    assert record["context"] == [{"name": "hour", "value": "3"}]
    assert record["history"] == [{**item, "embedding": []}]
    with pytest.raises(InvalidRequest, match=r"history\[0\] lacks item_id"):
        DecisionRequest(history=[{**item, "item_id": None}]).as_record("r", NOW)  # type: ignore[typeddict-item]


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
        (DecisionRequest(history=5), "history is not a list"),  # type: ignore[arg-type]
        (DecisionRequest(context=[]), "context is a list"),  # type: ignore[arg-type]
        (DecisionRequest(context={"surface": []}), "context.surface is a list"),  # type: ignore[dict-item]
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


@pytest.mark.parametrize("request_id", ["\n", "a\nb", "a\x00", "..", "a/../b", "./a", "a\x85"])
def test_an_id_that_no_url_can_confirm_is_refused(request_id: str) -> None:
    with pytest.raises(InvalidRequest, match="request_id"):
        DecisionRequest(request_id=request_id).as_record(request_id, NOW)


@pytest.mark.parametrize("request_id", ["a/b", "...", "a.b", "ü ?#%", "a//b"])
def test_other_ids_pass(request_id: str) -> None:
    assert DecisionRequest().as_record(request_id, NOW)["request_id"] == request_id


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf")])
def test_an_embedding_that_is_not_finite_is_missing_and_the_request_can_be_logged(odd: float) -> None:
    history = [{"item_id": "i", "action_type": "save", "event_time": 1, "embedding": [1.0, odd]}]
    record = DecisionRequest(user_embedding=[0.5, odd], history=history).as_record("r1", 1)  # type: ignore[arg-type]
    assert (record["user_embedding"], record["history"][0]["embedding"]) == ([], [])
    assert fault_of(r.REQUEST, record, small_rule()) is None
