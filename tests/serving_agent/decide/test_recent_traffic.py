"""The evidence for drift checks stays bounded."""

from __future__ import annotations

from event_schemas.records import HeadSummaryRecord, RequestRecord
from serving_agent.decide.decision_request import DecisionRequest
from serving_agent.decide.recent_traffic import KEPT_REQUESTS, RecentTraffic


def head(name: str, mean: float) -> HeadSummaryRecord:
    return {"head": name, "count": 10, "mean": mean, "p10": 0.0, "p50": mean, "p90": 1.0}


def request(name: str) -> RequestRecord:
    return DecisionRequest().as_record(name, 0)


def test_keeps_the_newest_requests() -> None:
    recent = RecentTraffic(capacity=3)
    for index in range(5):
        recent.note_request(request(f"r{index}"))
    assert [record["request_id"] for record in recent.requests(10)] == ["r2", "r3", "r4"]
    assert [record["request_id"] for record in recent.requests(2)] == ["r3", "r4"]
    assert recent.seen == 5


def test_keeps_the_newest_means_of_each_head() -> None:
    recent = RecentTraffic(capacity=2)
    for value in (0.1, 0.2, 0.3):
        recent.note_heads([head("repin", value)])
    recent.note_heads([head("p2p", 0.9)])
    assert recent.heads() == {"repin": [0.2, 0.3], "p2p": [0.9]}


def test_head_names_are_bounded_and_those_that_keep_coming_stay() -> None:
    recent = RecentTraffic(max_heads=2)
    for index in range(5):
        recent.note_heads([head("repin", 0.5), head(f"typo{index}", 0.5)])
    assert sorted(recent.heads()) == ["repin", "typo4"]
    assert recent.heads()["repin"] == [0.5] * 5


def test_no_more_requests_are_kept_than_a_network_is_tried_on() -> None:
    recent = RecentTraffic()
    for index in range(KEPT_REQUESTS + 5):
        recent.note_request(request(f"r{index}"))
    assert len(recent.requests(10_000)) == KEPT_REQUESTS
