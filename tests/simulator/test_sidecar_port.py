"""The HTTP client against a sidecar that answers from a script."""

import json

import pytest

from event_schemas.errors import ComponentUnreachable
from serving_agent.decide.decision_request import DecisionRequest
from simulator.sidecar_port import SidecarPort, SidecarRefused, request_body
from tests.simulator_samples import Answers, scripted_sidecar

ANSWER = {
    "request_id": "r-1",
    "weights": {"repin": 91.6, "p2p": 9.1},
    "arm": 49,
    "slice": "CONTROL",
    "propensity": 1.0,
    "policy_version": "production",
    "config_revision": 0,
    "fallback_reason": None,
}
METRICS = """# TYPE trimtab_producer_events counter
trimtab_producer_events_total{fate="handed_in",record="Request"} 7.0
trimtab_producer_events_total{fate="acknowledged",record="Request"} %d
"""


def test_a_decision_is_asked_for_and_confirmed() -> None:
    answers: Answers = {
        "/v1/decisions": (200, json.dumps(ANSWER)),
        "/v1/decisions/r-1/applied": (200, '{"request_id": "r-1", "first": true}'),
    }
    with scripted_sidecar(answers) as (url, calls):
        port = SidecarPort(url)
        decision = port.decide(DecisionRequest(request_id="r-1", context={"device": "web"}, event_time=5))
        assert decision.weights["p2p"] == 9.1 and decision.slice == "CONTROL"
        assert decision.applied({"repin": {"count": 1, "mean": 0.1}}, ["item"], "ranker")
        port.close()
    assert calls[0] == (
        "POST",
        "/v1/decisions",
        {"request_id": "r-1", "context": {"device": "web"}, "event_time": 5},
    )
    assert calls[1][2]["served"] == ["item"]


def test_absent_fields_are_left_out_of_the_body() -> None:
    assert request_body(DecisionRequest()) == {}
    assert request_body(DecisionRequest(eligible=[0], event_time=0)) == {"eligible": [0], "event_time": 0}
    earlier = {"event_time": 5, "weights": {"repin": 91.6}}
    assert request_body(DecisionRequest(previous=[earlier])) == {"previous": [earlier]}  # type: ignore[list-item]
    assert request_body(DecisionRequest(previous=[])) == {"previous": []}


def test_a_refusal_names_the_path_the_status_and_the_answer() -> None:
    with scripted_sidecar({"/v1/decisions": (422, "event_time: not allowed")}) as (url, _):
        port = SidecarPort(url)
        with pytest.raises(SidecarRefused, match=r"/v1/decisions with 422: event_time: not allowed"):
            port.decide(DecisionRequest())
        port.close()


def test_a_sidecar_that_is_not_there_is_named() -> None:
    with pytest.raises(ComponentUnreachable, match="does not answer"):
        SidecarPort("http://127.0.0.1:1").decide(DecisionRequest())
    with pytest.raises(SidecarRefused, match="not the address of a sidecar"):
        SidecarPort("127.0.0.1:8080")


def test_events_count_as_settled_once_they_stand_still_with_nothing_on_its_way() -> None:
    answers: Answers = {"/metrics": (200, METRICS % 5)}
    with scripted_sidecar(answers) as (url, calls):
        port = SidecarPort(url)

        def deliver(_: float) -> None:
            if len(calls) == 3:
                answers["/metrics"] = (200, METRICS % 7)

        settled = port.settled_events(deliver)
        port.close()
    assert settled["Request", "acknowledged"] == 7 and len(calls) == 5


def test_waiting_for_the_log_counts_what_was_confirmed_and_sampled() -> None:
    propensities = METRICS.replace("Request", "Propensity")
    answers: Answers = {
        "/v1/decisions": (200, json.dumps(ANSWER)),
        "/v1/decisions/r-1/applied": (200, "{}"),
        "/metrics": (200, propensities % 5),
    }
    with scripted_sidecar(answers) as (url, _):
        port = SidecarPort(url, lambda *asked: asked == ("r-1", "CONTROL", None))
        port.decide(DecisionRequest(request_id="r-1")).applied()
        port.await_logged(4)
        slept = list[float]()

        def arrive(seconds: float) -> None:
            slept.append(seconds)
            answers["/metrics"] = (200, propensities % 6)

        port.await_logged(5, arrive)
        assert len(slept) == 1
        with pytest.raises(SidecarRefused, match="cannot deliver its events"):
            port.await_logged(6, lambda _: None)
        port.close()


def test_events_that_never_settle_are_an_error() -> None:
    with scripted_sidecar({"/metrics": (200, METRICS % 5)}) as (url, _):
        port = SidecarPort(url)
        with pytest.raises(SidecarRefused, match="cannot deliver its events"):
            port.settled_events(lambda _: None)
        port.close()
