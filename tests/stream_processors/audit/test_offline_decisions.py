"""Records of one request_id, told apart by the decisions they belong to."""

from __future__ import annotations

from event_schemas.decision_key import DecisionKey
from event_schemas.log_record import LogRecord
from stream_processors.audit.offline_decisions import Apart, OfflineDecision, Unresolved, decisions_of, none_apart
from stream_processors.columns.chunk_validation import ChunkValidator
from stream_processors.rule.contradictions import Contradictions
from stream_processors.rule.fates import Fate
from stream_processors.rule.input_event import InputEvent
from tests.stream_processors.event_log import CODEC, WINDOW_MS, EventLog, small_rule

VALIDATOR = ChunkValidator(CODEC, small_rule())


def split(records: list[LogRecord], apart: Apart = none_apart) -> list[OfflineDecision]:
    events = [VALIDATOR.validate_one(record) for record in records]
    valid = [event for event in events if isinstance(event, InputEvent)]
    return decisions_of(valid, WINDOW_MS, Contradictions(CODEC, small_rule()), apart)


def test_requests_a_window_apart_begin_two_decisions_and_closer_ones_are_copies() -> None:
    log = EventLog()
    log.request("a", 1_000)
    log.request("a", 1_000 + WINDOW_MS - 1, user_id="copy")
    log.request("a", 1_000 + WINDOW_MS)
    first, second = split(log.records)
    assert (first.key, second.key) == (DecisionKey("a", 1_000), DecisionKey("a", 1_000 + WINDOW_MS))
    assert (first.offsets, second.offsets) == ({0, 1}, {2})


def test_closer_requests_that_the_join_told_apart_begin_decisions_of_their_own() -> None:
    log, half = EventLog(), WINDOW_MS // 2
    for time in (1_000, 1_000 + half, 1_000 + half, 1_001 + half):
        log.request("a", time)
    log.action("a", 1_002 + half)
    log.propensity("a", 1_003)
    first, second = split(log.records, lambda request: request.event_time <= 1_000 + half)
    assert (first.key, second.key) == (DecisionKey("a", 1_000), DecisionKey("a", 1_000 + half))
    assert (first.offsets, second.offsets) == ({0, 5}, {1, 2, 3, 4})


def test_of_copies_the_first_in_the_log_counts_whatever_its_time() -> None:
    log = EventLog()
    log.request("a", 1_010)
    log.request("a", 1_000)
    [decision] = split(log.records[::-1])
    assert decision.key == DecisionKey("a", 1_010)


def test_parts_go_to_the_nearest_decision_and_engagements_to_the_newest_that_had_begun() -> None:
    log, second = EventLog(), 1_000 + 3 * WINDOW_MS
    log.request("a", 1_000)
    log.request("a", second)
    log.action("a", second - 1)
    log.action("a", 1_001)
    log.engagement("a", 999, engagement_id="early")
    log.engagement("a", second - 1, engagement_id="between")
    log.engagement("a", second, engagement_id="second")
    log.propensity("a", 1_000 + WINDOW_MS)
    one, two = split(log.records)
    assert [part.offset for part in one.parts.values()] == [0, 3, 7]
    assert [part.offset for part in two.parts.values()] == [1, 2]
    assert (list(one.engagements), list(two.engagements)) == (["early", "between"], ["second"])


def test_without_a_request_there_is_one_decision_and_without_records_an_empty_one() -> None:
    log = EventLog()
    log.action("a", 100)
    log.engagement("a", 9_000)
    [decision] = split(log.records)
    assert (decision.key, decision.offsets) == (None, {0, 1})
    [empty] = split([])
    assert (empty.key, empty.offsets) == (None, set())


def test_what_is_unmended_has_a_reason() -> None:
    assert Unresolved(Fate.LATE, "why").reason == "late"
