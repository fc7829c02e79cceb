"""From dead letters to decisions: the choice of letters, and the records of a decision from letters and log."""

from __future__ import annotations

from dataclasses import replace

import pytest

from event_schemas.dead_letter import LARGEST_VALUE, TOO_LARGE, dead_letter
from event_schemas.decision_key import DecisionKey
from event_schemas.log_record import LogRecord
from stream_processors.audit.dead_letter_store import StoredDeadLetter, read_dead_letters
from stream_processors.audit.letter_gathering import (
    GatheredDecision,
    GatheredDecisions,
    LetterChoice,
    by_request_id,
    decision_of,
    key_text,
)
from stream_processors.columns.chunk_validation import ChunkValidator
from stream_processors.rule.fates import Fate
from stream_processors.rule.input_event import InputEvent
from tests.stream_processors.event_log import CODEC, EventLog, small_rule


def letter(record: LogRecord, reason: Fate = Fate.INCOMPLETE, request_id: str | None = None) -> StoredDeadLetter:
    value = CODEC.encode("DeadLetter", dead_letter(record, reason, "because", request_id))
    stored = LogRecord("dead-letters", record.partition, 0, record.append_time + 500, record.key, value)
    return next(read_dead_letters([stored], CODEC))


def one_record() -> LogRecord:
    log = EventLog(partition=3, first_offset=10)
    return log.request("a", 100)


@pytest.mark.parametrize(
    ("choice", "taken"),
    [
        (LetterChoice(), True),
        (LetterChoice(reasons=frozenset({"incomplete", "late"})), True),
        (LetterChoice(reasons=frozenset({"late"})), False),
        (LetterChoice(request_ids=frozenset({"a"})), True),
        (LetterChoice(request_ids=frozenset({"b"})), False),
        (LetterChoice(partitions=frozenset({3})), True),
        (LetterChoice(partitions=frozenset({2})), False),
        (LetterChoice(start={3: 10}, end={3: 11}), True),
        (LetterChoice(start={3: 11}), False),
        (LetterChoice(end={3: 10}), False),
        (LetterChoice(start={2: 99}), True),
        (LetterChoice(since=600, until=601), True),
        (LetterChoice(since=601), False),
        (LetterChoice(until=600), False),
    ],
)
def test_each_restriction_is_kept(choice: LetterChoice, taken: bool) -> None:
    assert choice.takes(letter(one_record())) is taken


def test_a_decision_is_named_by_the_letter_or_by_the_key() -> None:
    record = one_record()
    assert decision_of(letter(record, request_id="named").letter) == "named"
    assert decision_of(letter(record).letter) == "a"
    assert decision_of(letter(record._replace(key=b"\xff")).letter) is None
    assert decision_of(letter(record._replace(key=None)).letter) is None
    assert key_text(b"") is None


def test_letters_give_the_original_records_back() -> None:
    log = EventLog()
    log.decision("a", 100)
    gathered = GatheredDecisions(["a", "b"])
    for record in (*log.records, log.request("elsewhere", 100)):
        gathered.add_letter(letter(record))
    found = gathered.decisions["a"].records()
    assert [(record.offset, record.key, record.value) for record in found] == [
        (record.offset, record.key, record.value) for record in log.records[:3]
    ]
    assert {record.append_time for record in found} == {600}, "the letter's, which bounds the record's"
    assert gathered.decisions["b"].records() == []


def test_the_log_goes_before_the_letter_and_adds_to_it() -> None:
    log = EventLog()
    log.decision("a", 100)
    gathered = GatheredDecisions(["a"])
    gathered.add_letter(letter(log.records[0]))
    for record in (*log.records, log.heartbeat(100)):
        gathered.add_record(record)
    assert sorted(gathered.decisions["a"].records(), key=lambda one: one.offset) == log.records[:3]


def test_a_log_made_anew_is_not_believed() -> None:
    record = one_record()
    gathered = GatheredDecisions(["a"])
    gathered.add_letter(letter(record))
    gathered.add_record(record._replace(value=b"another life"))
    assert [found.value for found in gathered.decisions["a"].records()] == [record.value]


def test_a_value_that_was_left_out_comes_from_the_log_or_is_gone() -> None:
    record = one_record()._replace(value=b"x" * (LARGEST_VALUE + 1))
    decision = GatheredDecision("a")
    decision.add_letter(letter(record))
    assert decision.records() == []
    assert "offset 10" in decision.gone()[0]
    decision.log[10] = record._replace(value=b"y" * (LARGEST_VALUE + 1))
    assert decision.gone(), "another value of that size is not the one"
    decision.log[10] = record
    assert (decision.records(), decision.gone()) == ([record], [])


def test_the_first_letter_counts_and_one_about_an_example_wraps_no_event() -> None:
    stored = letter(one_record())
    decision = GatheredDecision("a")
    decision.add_letter(replace(stored, letter={**stored.letter, "reason": TOO_LARGE, "value": None}))
    assert (decision.records(), decision.gone()) == ([], [])
    decision.add_letter(stored)
    decision.add_letter(replace(stored, letter={**stored.letter, "value": b"second"}))
    assert [record.value for record in decision.records()] == [stored.letter["value"]]


def test_a_decision_is_open_while_the_join_may_hold_some_of_it() -> None:
    log = EventLog()
    log.decision("a", 100)
    decision = GatheredDecision("a")
    for record in log.records:
        decision.log[record.offset] = record
    assert decision.open_at(0)
    assert decision.open_at(2)
    assert not decision.open_at(3), "settled without a letter: it counts for nothing"
    for record in log.records:
        decision.add_letter(letter(record))
    assert not decision.open_at(0)


@pytest.mark.parametrize("reason", list(Fate))
@pytest.mark.parametrize("others", [set(), {DecisionKey("a", 7)}], ids=["no example", "an example"])
def test_what_the_join_did_with_a_request_tells_whether_it_began_a_decision(
    reason: Fate, others: set[DecisionKey]
) -> None:
    decision, record = GatheredDecision("a"), one_record()
    request = ChunkValidator(CODEC, small_rule()).validate_one(record)
    assert isinstance(request, InputEvent)
    assert not decision.is_apart(others, request)
    assert decision.is_apart({*others, DecisionKey("a", 100)}, request)
    decision.add_letter(letter(record, reason))
    expected = reason == Fate.INCOMPLETE or (reason == Fate.ORPHAN and bool(others))
    assert decision.is_apart(others, request) == expected


def test_decisions_of_one_id_are_put_together() -> None:
    first, second, other = DecisionKey("a", 1), DecisionKey("a", 2), DecisionKey("b", 1)
    assert by_request_id([first, other, second, first]) == {"a": {first, second}, "b": {other}}
