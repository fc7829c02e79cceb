"""The reference by itself: the contract's sentences, one by one, on logs small enough to check by eye."""

from __future__ import annotations

from itertools import permutations

import pytest

from event_schemas import records as r
from event_schemas.decision_key import DecisionKey
from event_schemas.log_record import LogRecord
from stream_processors.rule.reference_join import ReferenceResult, reference_join
from tests.stream_processors.event_log import CLICK_MS, CODEC, WINDOW_MS, WRITERS, EventLog, small_rule


def result(records: list[LogRecord], cap: int = 1000) -> ReferenceResult:
    return reference_join(small_rule(cap), CODEC, records)


def test_every_fate_once() -> None:
    log = EventLog()
    log.heartbeat(1000)  # 0
    log.decision("a", 1000)  # 1 2 3
    log.engagement("a", 1010, engagement_id="e")  # 4
    log.engagement("a", 1010, engagement_id="e")  # 5
    log.action("a", 1000, arm=0)  # 6
    log.engagement("a", 1000 + WINDOW_MS - 1)  # 7
    log.request("b", 1000 - WINDOW_MS)  # 8
    log.request("c", 5000, append_time=1000)  # 9
    log.request("d", 1000)  # 10
    log.engagement("x", 1000)  # 11
    log.append(b"a", b"junk", 1000)  # 12
    log.heartbeat(1000 + WINDOW_MS)  # 13
    log.request("f", 1500)  # 14
    fates = {offset: str(fate) for (_, offset), fate in result(log.records).fates.items()}
    assert fates == {
        **dict.fromkeys((0, 1, 2, 3, 4, 13), "joined"),
        5: "duplicate",
        6: "conflict",
        7: "outside",
        8: "late",
        9: "future",
        10: "incomplete",
        11: "orphan",
        12: "malformed",
        14: r.PENDING,
    }


def test_a_spelling_that_no_writer_uses_is_malformed() -> None:
    log = EventLog()
    value = log.engagement("a", 100, item_id="pin").value or b""
    stray = value.replace(b"\x02\x06pin", b"\x01\x06pin")
    assert stray != value
    log.append(b"a", stray, 100)
    log.action("b", 100, version="reordered")
    first = log.action("c", 100, version="first").value or b""
    log.append(b"c", first[:-1] + b"\x03", 100)
    assert CODEC.decode(first[:-1] + b"\x03").record["fallback_reason"] is None
    assert result(log.records).fates == {
        (0, 0): r.PENDING,
        (0, 1): "malformed",
        (0, 2): r.PENDING,
        (0, 3): r.PENDING,
        (0, 4): "malformed",
    }


@pytest.mark.parametrize(("first", "second"), list(permutations(WRITERS, 2)))
def test_a_copy_is_judged_by_its_content_whatever_the_versions(first: str, second: str) -> None:
    log = EventLog()
    for version in (first, second):
        log.action("a", 100, version=version)
    log.action("a", 100, version=second, config_revision=2)
    assert result(log.records).fates == {(0, 0): r.PENDING, (0, 1): "duplicate", (0, 2): "conflict"}


def test_examples_are_whole_and_by_decision() -> None:
    log = EventLog(partition=3)
    log.decision("a", 100)
    log.engagement("a", 101, value=7.0)
    log.heartbeat(1000)
    examples = result(log.records).examples
    outcome = CODEC.decode(examples[DecisionKey("a", 100)]).record["outcome"]
    assert outcome["objectives"][0] == {"objective": "click", "count": 7.0, "reward": 1.0, "observed": True}
    assert (outcome["partition"], outcome["offset"]) == (3, 0)


def test_an_engagement_counts_from_the_request_to_the_end_of_its_attribution() -> None:
    log = EventLog()
    log.decision("a", 100)
    for time in (99, 100, 100 + CLICK_MS, 101 + CLICK_MS):
        log.engagement("a", time)
    log.heartbeat(1000)
    both = result(log.records)
    outcome = CODEC.decode(both.examples[DecisionKey("a", 100)]).record["outcome"]
    assert outcome["objectives"][0]["count"] == 2.0
    assert [both.fates[(0, offset)] for offset in (3, 4, 5, 6)] == ["outside", "joined", "joined", "outside"]


@pytest.mark.parametrize("missing", ["action", "propensity"])
def test_a_decision_without_one_of_its_parts_is_incomplete(missing: str) -> None:
    log = EventLog()
    for write in (log.request, log.action, log.propensity):
        if write.__name__ != missing:
            write("a", 100)
    log.heartbeat(1000)
    found = result(log.records)
    assert (found.fates, found.examples) == ({(0, 0): "incomplete", (0, 1): "incomplete", (0, 2): "joined"}, {})


@pytest.mark.parametrize(("closed_at", "observed"), [(99 + CLICK_MS, False), (100 + CLICK_MS, True)])
def test_an_objective_is_observed_once_its_attribution_has_passed(closed_at: int, observed: bool) -> None:
    log = EventLog()
    log.decision("a", 100)
    log.request("b", closed_at)
    outcome = CODEC.decode(result(log.records, cap=1).examples[DecisionKey("a", 100)]).record["outcome"]
    assert [objective["observed"] for objective in outcome["objectives"]] == [observed, False]


def test_partitions_do_not_touch() -> None:
    ahead, behind = EventLog(partition=0), EventLog(partition=1)
    ahead.heartbeat(10_000)
    behind.request("a", 100)
    both = result([*ahead.records, *behind.records])
    assert both.fates == {(0, 0): "joined", (1, 0): r.PENDING}
    assert both.topic == "trimtab.events"


def test_an_identifier_used_again_after_it_was_forgotten_is_another_decision() -> None:
    log = EventLog()
    for time in (100, 1000):
        log.decision("a", time)
        log.heartbeat(time + WINDOW_MS)
    both = result(log.records)
    assert [CODEC.decode(value).record["request"]["event_time"] for value in both.examples.values()] == [100, 1000]
    assert list(both.examples) == [DecisionKey("a", 100), DecisionKey("a", 1000)]
    assert set(both.fates.values()) == {"joined"}


def test_the_cap_closes_the_oldest_early() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.request("b", 101)
    both = result(log.records, cap=1)
    assert CODEC.decode(both.examples[DecisionKey("a", 100)]).record["outcome"]["closed_early"]
    assert both.fates[(0, 3)] == r.PENDING


def test_the_cap_counts_open_decisions_only() -> None:
    log = EventLog()
    for request_id in "abcd":
        log.request(request_id, 100)
        log.engagement(request_id, 99 + WINDOW_MS)
    log.heartbeat(100 + WINDOW_MS)
    log.request("e", 100 + WINDOW_MS)
    log.request("f", 100 + WINDOW_MS)
    fates = result(log.records, cap=5).fates
    assert [fates[(0, offset)] for offset in (0, 9, 10)] == ["incomplete", r.PENDING, r.PENDING]


def test_no_log_has_no_topic() -> None:
    assert result([]) == ReferenceResult(None, {}, {}, {})
