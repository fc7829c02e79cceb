"""The HTTP surface: the contract's routes, idempotence, and 4xx that say how to fix."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry

from policy_store.backends.memory_store import MemoryStore
from policy_store.records.channel_record import Channel
from policy_store.records.store_errors import StoreUnreachable
from producers.delivery.memory_log import MemoryLog
from serving_agent.node import NodeConnections, ServingNode, ServingNodeConfig, build_node
from serving_agent.sidecar.body_limit import LARGEST_BODY
from serving_agent.sidecar.sidecar_app import create_app
from serving_agent.sidecar.unconfirmed_decisions import UnconfirmedDecisions
from tests.serving_samples import (
    NOW,
    TRUSTED,
    StoreDesk,
    codec,
    embedded,
    logged,
    preferring,
    serving_experiment,
)

EXPERIMENT = serving_experiment(experiment={"exploration_rate": 0.0, "control_rate": 0.0, "log_rate": 1.0})
GOOD = {"user_embedding": embedded(0.0)}
HEAD = {"count": 10, "mean": 0.5, "p10": 0.25, "p50": 0.5, "p90": 0.75}


class DeadStore(MemoryStore):
    """A store that never answers."""

    def preference(self) -> Any:
        raise StoreUnreachable("Redis does not answer", fix="start Redis")

    def updates_since(self, last_id: str, block_ms: int = 0) -> Any:
        raise StoreUnreachable("Redis does not answer", fix="start Redis")


class Bench:
    def __init__(self, store: MemoryStore, capacity: int = 100, log: MemoryLog | None = None) -> None:
        self.log, registry = log or MemoryLog(), CollectorRegistry()
        config = ServingNodeConfig(EXPERIMENT, TRUSTED, node_id="n1", clock=lambda: NOW)
        self.node: ServingNode = build_node(config, NodeConnections(store, self.log, codec()), registry)
        app = create_app(self.node, registry, UnconfirmedDecisions(capacity))
        self.http = TestClient(app, raise_server_exceptions=False)

    def decide(self, body: dict[str, Any]) -> Any:
        return self.http.post("/v1/decisions", json=body)

    def records(self, name: str) -> list[dict[str, Any]]:
        self.node.decisions.flush()
        self.node.engagements.flush()
        return logged(self.log, name)


@pytest.fixture
def bench() -> Iterator[Bench]:
    desk = StoreDesk(EXPERIMENT)
    desk.publish("v1", preferring(EXPERIMENT, repin=2))
    desk.point(Channel.STABLE, "v1")
    made = Bench(desk.store)  # type: ignore[arg-type]
    made.node.start()
    yield made
    made.node.close()


def test_a_decision_and_its_confirmation(bench: Bench) -> None:
    answer = bench.decide({**GOOD, "request_id": "a/b?c", "context": {"surface": "home"}, "cohort": "CORE"})
    assert answer.status_code == 200
    assert answer.json() == {
        "request_id": "a/b?c",
        "event_time": NOW,
        "weights": {"repin": 10.0, "p2p": 30.0},
        "arm": 2,
        "arm_name": "repin=10/p2p=30",
        "slice": "POLICY",
        "propensity": 1.0,
        "log_density": None,
        "policy_version": "v1",
        "config_revision": 0,
        "fallback_reason": None,
        "experiment_arm": None,
    }
    told = {"heads": {"repin": HEAD}, "served": ["p1"], "ranker_version": "r7"}
    for first in (True, False):
        confirmed = bench.http.post("/v1/decisions/a%2Fb%3Fc/applied", json=told)
        assert (confirmed.status_code, confirmed.json()) == (200, {"request_id": "a/b?c", "first": first})
    assert len(bench.records("Action")) == len(bench.records("Propensity")) == 1
    assert bench.records("Ranking")[0]["heads"][0]["head"] == "repin"


def test_a_body_is_optional(bench: Bench) -> None:
    answer = bench.decide({})
    assert answer.json()["fallback_reason"] == "missing_features"
    confirmed = bench.http.post(f"/v1/decisions/{answer.json()['request_id']}/applied")
    assert confirmed.status_code == 200


def test_a_repeated_request_gets_the_first_answer(bench: Bench) -> None:
    first = bench.decide({**GOOD, "request_id": "r"})
    again = bench.decide({"request_id": "r"})
    assert again.json() == first.json()
    assert len(bench.records("Request")) == 1


def test_engagements(bench: Bench) -> None:
    answer = bench.http.post("/v1/engagements", json={"request_id": "r", "kind": "repin", "item_id": "i"})
    assert answer.status_code == 202
    [record] = bench.records("Engagement")
    assert record == {
        "engagement_id": answer.json()["engagement_id"],
        "request_id": "r",
        "event_time": NOW,
        "kind": "repin",
        "item_id": "i",
        "value": 1.0,
    }


@pytest.mark.parametrize("request_id", ["a/b", "...", "ü ?#%+&", "a//b", "~"])
def test_every_id_that_is_decided_can_be_confirmed(bench: Bench, request_id: str) -> None:
    assert bench.decide({**GOOD, "request_id": request_id}).status_code == 200
    confirmed = bench.http.post(f"/v1/decisions/{quote(request_id, safe='')}/applied")
    assert confirmed.json() == {"request_id": request_id, "first": True}


def test_a_repeated_engagement_is_one_by_its_key_its_id_or_its_time(bench: Bench) -> None:
    body = {"request_id": "r", "kind": "repin"}

    def ids(content: Mapping[str, object], **headers: str) -> set[str]:
        answers = [bench.http.post("/v1/engagements", json=content, headers=headers) for _ in range(2)]
        return {answer.json()["engagement_id"] for answer in answers}

    assert ids(body, **{"Idempotency-Key": "k"}) == {"k"}
    assert ids({**body, "engagement_id": "e"}, **{"Idempotency-Key": "k"}) == {"e"}
    assert len(ids({**body, "event_time": NOW - 5})) == 1
    answer = bench.http.post("/v1/engagements", json=body, headers={"Idempotency-Key": "k" * 300})
    assert (answer.status_code, "Idempotency-Key has 300" in answer.json()["error"]) == (422, True)
    assert len(ids({**body, "event_time": NOW - 6}, **{"Idempotency-Key": " "})) == 1


@pytest.mark.parametrize(
    ("path", "content", "status", "message"),
    [
        ("/v1/decisions", b"{", 422, "body is not JSON: Expecting property name"),
        ("/v1/decisions", b"[]", 422, "body"),
        ("/v1/decisions", b'{"user_embedding": [NaN]}', 422, "user_embedding"),
        ("/v1/decisions", b'{"user_id": "\\ud800"}', 422, "user_id"),
        ("/v1/decisions", b'{"eligible": [10]}', 422, "outside 0..9"),
        ("/v1/decisions", b'{"event_time": 5}', 422, "join.clock"),
        ("/v1/decisions", b'{"weights": {}}', 422, "weights"),
        ("/v1/decisions", b'{"context": {"\\ud800": NaN}}', 422, "context"),
        ("/v1/decisions", b'{"context": {"a": ' + b"9" * 5000 + b"}}", 400, "body"),
        ("/v1/decisions", b"[" * 100_000, 400, "body"),
        ("/v1/decisions", b'{"session_id": "' + b"s" * LARGEST_BODY + b'"}', 413, "larger than"),
        ("/v1/decisions", b'{"eligible": [' + b"9" * 300 + b"]}", 422, "64 bits"),
        ("/v1/nothing", b"{}", 404, "Not Found"),
        ("/v1/decisions/nobody/applied", b"{}", 404, "not known here"),
        ("/v1/engagements", b"{}", 422, "request_id"),
        ("/v1/decisions", b'{"context": ' + b'{"a": ' * 800 + b"1" + b"}" * 801, 422, "context"),
        ("/v1/decisions", b'{"a\\nb": 1}', 422, "a\\nb"),
        ("/v1/decisions", b'{"request_id": "a\\n"}', 422, "control characters"),
        ("/v1/decisions", b'{"request_id": "a/.."}', 422, "URL"),
        ("/v1/engagements", b'{"request_id": "a", "kind": "click", "value": -1}', 422, "value = -1.0"),
        ("/v1/engagements", b'{"request_id": "a", "kind": "click", "value": 1e13}', 422, "1e+12"),
        ("/v1/engagements", b'{"request_id": "a\\n", "kind": "click"}', 422, "control characters"),
        ("/v1/engagements", b'{"request_id": "a", "kind": "p2p", "event_time": %d}' % (NOW // 1000), 422, "seconds"),
        ("/v1/engagements", b'{"request_id": "a", "kind": " Repin"}', 422, "'repin' is"),
        ("/v1/decisions", b'{"user_embedding": [' + b"{}," * 99 + b"{}]}", 422, "100 faults, the first 5: "),
    ],
)
def test_bad_input_is_told_with_a_fix(bench: Bench, path: str, content: bytes, status: int, message: str) -> None:
    answer = bench.http.post(path, content=content, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "fix"}
    assert message in answer.json()["error"]


def test_heads_that_contradict_themselves_leave_the_decision_open(bench: Bench) -> None:
    bench.decide({**GOOD, "request_id": "r"})
    bad = bench.http.post("/v1/decisions/r/applied", json={"heads": {"repin": {**HEAD, "p10": 0.9}}})
    assert (bad.status_code, "heads.repin" in bad.json()["error"]) == (422, True)
    assert bench.http.post("/v1/decisions/r/applied").json()["first"]


def test_a_head_whose_name_is_no_text_is_refused(bench: Bench) -> None:
    bench.decide({**GOOD, "request_id": "r"})
    content = b'{"heads": {"\\ud800": {"count": 1, "mean": 1, "p10": 3, "p50": 2, "p90": 1}}}'
    answer = bench.http.post("/v1/decisions/r/applied", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, set(answer.json())) == (422, {"error", "fix"})
    assert bench.http.post("/v1/decisions/r/applied").json()["first"]


def test_a_caller_who_asks_again_too_early_gets_the_same_decision(bench: Bench) -> None:
    """Two decisions under one id would leave two Requests in the log, a conflict."""
    times = itertools.count(NOW)
    agent = bench.node.agent

    def slow_clock() -> int:
        time.sleep(0.01)
        return next(times)

    agent._options = replace(agent._options, clock=slow_clock)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: bench.decide({**GOOD, "request_id": "r"}).json(), range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert [record["event_time"] for record in bench.records("Request")] == [NOW]


def test_health_readiness_and_metrics(bench: Bench) -> None:
    bench.decide(GOOD)
    health = bench.http.get("/healthz").json()
    assert (health["status"], health["node_id"], health["versions"]) == ("ok", "n1", {"stable": "v1"})
    assert health["unconfirmed"] == {"held": 1, "forgotten": 0}
    assert bench.http.get("/readyz").status_code == 200
    metrics = bench.http.get("/metrics").text
    assert 'trimtab_serving_decisions_total{reason="",slice="POLICY"} 1.0' in metrics
    assert 'trimtab_serving_policy_info{channel="stable",version="v1"} 1.0' in metrics
    paths = bench.http.get("/openapi.json").json()["paths"]
    assert {"/v1/decisions", "/v1/decisions/{request_id}/applied", "/v1/engagements"} <= set(paths)


def test_a_dead_store_costs_no_decision() -> None:
    bench = Bench(DeadStore(EXPERIMENT.name))
    assert bench.http.get("/readyz").status_code == 503
    bench.node.start()
    try:
        answer = bench.decide(GOOD).json()
        assert (answer["slice"], answer["fallback_reason"]) == ("FALLBACK", "no_policy")
        assert answer["weights"] == {"repin": 91.6, "p2p": 9.1}
        assert bench.http.get("/readyz").status_code == 200
        assert "does not answer" in bench.http.get("/healthz").json()["store"]
    finally:
        bench.node.close()


def test_memory_is_bounded() -> None:
    bench = Bench(MemoryStore(EXPERIMENT.name), capacity=2)
    for name in "abc":
        bench.decide({**GOOD, "request_id": name})
    assert bench.http.post("/v1/decisions/a/applied").status_code == 404
    assert bench.http.post("/v1/decisions/c/applied").status_code == 200
    assert bench.http.get("/healthz").json()["unconfirmed"] == {"held": 1, "forgotten": 1}, "c is confirmed"
    bench.node.close()


class RefusedLog(MemoryLog):
    """A log whose broker refuses this node or not, as a test says."""

    refusal: str | None = "trimtab.events: Broker: Topic authorization failed"

    spool_fault: str | None = None

    @property
    def fault(self) -> str | None:
        return self.refusal


def test_a_node_whose_events_are_refused_is_alive_and_not_ready() -> None:
    log = RefusedLog()
    bench = Bench(MemoryStore(EXPERIMENT.name), log=log)
    assert bench.http.get("/readyz").json()["reasons"][0] == "the policy store has not been read yet"
    bench.node.start()
    try:
        unready = bench.http.get("/readyz")
        assert (unready.status_code, unready.json()) == (
            503,
            {"ready": False, "reasons": [f"events are not delivered: {log.refusal}"]},
        )
        health = bench.http.get("/healthz")
        assert (health.status_code, health.json()["delivery"]) == (200, log.refusal)
        assert bench.decide(GOOD).status_code == 200, "who asks is answered"
        log.refusal = None
        ready = bench.http.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"ready": True})
        health = bench.http.get("/healthz")
        assert (health.json()["delivery"], health.json()["spool"]) == ("ok", "ok")
        log.spool_fault = "old.events: Broker: Unknown topic or partition"
        assert bench.http.get("/healthz").json()["spool"] == log.spool_fault
        assert bench.http.get("/readyz").status_code == 200, "that says nothing about this node"
    finally:
        bench.node.close()
