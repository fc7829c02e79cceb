"""What the join refuses of a decision: contradictions, and copies of what a closed decision held."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings

from event_schemas import records as r
from event_schemas.log_record import LogRecord
from stream_processors.partition import partition_join
from stream_processors.partition.columnar_holding import FEW
from stream_processors.partition.partition_join import PartitionJoin
from stream_processors.rule.fates import Fate
from stream_processors.rule.reference_join import reference_join
from tests.stream_processors.event_log import CODEC, WINDOW_MS, EventLog, small_rule
from tests.stream_processors.event_strategies import Move, histories, written
from tests.stream_processors.join_runs import columns_beyond, joined, process, reasons

SPREAD: dict[str, Any] = {"propensity": 0.5, "probabilities": [0.5, 0.25, 0.25, 0.0, 0.0]}
"""Fits arm 0 only."""
PARTS = ("request", "action", "propensity")


def decision(log: EventLog, request_id: str, order: tuple[str, ...], arm: int) -> None:
    fields: dict[str, dict[str, Any]] = {"request": {}, "action": {"arm": arm}, "propensity": SPREAD}
    for part in order:
        getattr(log, part)(request_id, 100, **fields[part])


@pytest.mark.parametrize("order", list(permutations(PARTS)))
@pytest.mark.parametrize("few", [0, FEW])
def test_the_later_of_action_and_propensity_is_malformed_if_they_contradict_each_other(
    order: tuple[str, ...], few: int
) -> None:
    log = EventLog()
    decision(log, "a", order, arm=2)
    decision(log, "b", order, arm=0)
    log.heartbeat(1000)
    join = PartitionJoin(small_rule(), CODEC, 0)
    with columns_beyond(few):
        held, ended = process(join, log.records[:-1]), process(join, log.records[-1:])
    later = max(order.index("action"), order.index("propensity"))
    rest = {place: Fate.INCOMPLETE for place in range(3) if place != later}
    assert (reasons(held), reasons(ended), ended.examples) == ({later: Fate.MALFORMED}, rest, 1)
    reference = reference_join(small_rule(), CODEC, log.records)
    found = Counter(held.fates) + Counter(ended.fates)
    assert found == Counter(fate for fate in reference.fates.values() if fate != r.PENDING)
    (letter,) = [CODEC.decode(e.value).record for e in held.emissions]
    assert letter["detail"] == "propensity = 0.5, but its decision's arm = 2 has probabilities[2] = 0.25"


@pytest.mark.parametrize("first", ["action", "propensity"])
def test_a_record_that_agrees_may_still_come(first: str) -> None:
    log = EventLog()
    log.request("a", 100)
    if first == "action":
        log.action("a", 100, arm=0)
        log.propensity("a", 100, propensity=0.25, probabilities=SPREAD["probabilities"])
        log.propensity("a", 100, **SPREAD)
    else:
        log.propensity("a", 100, **SPREAD)
        log.action("a", 100, arm=2)
        log.action("a", 100, arm=0)
    log.heartbeat(1000)
    result = joined(log)
    assert (reasons(result), result.examples) == ({2: Fate.MALFORMED}, 1)


def test_the_parts_may_come_in_different_chunks() -> None:
    log = EventLog()
    for number in range(FEW + 2):
        log.propensity(f"r{number}", 100, **SPREAD)
    for number in range(FEW + 2):
        log.request(f"r{number}", 100)
        log.action(f"r{number}", 100, arm=number % 3)
    log.heartbeat(1000)
    join = PartitionJoin(small_rule(), CODEC, 0)
    process(join, log.records[: FEW + 2])
    contradicting = [number for number in range(FEW + 2) if number % 3]
    assert process(join, log.records[FEW + 2 : -1]).fates == {Fate.MALFORMED: len(contradicting)}
    assert process(join, log.records[-1:]).examples == FEW + 2 - len(contradicting)


def test_an_action_that_comes_alone_in_a_later_chunk_is_compared() -> None:
    log = EventLog()
    for number in range(FEW + 2):
        log.request(f"r{number}", 100)
        log.propensity(f"r{number}", 100, **SPREAD)
    for number in range(FEW + 2):
        log.action(f"r{number}", 100, arm=number % 3)
    log.heartbeat(1000)
    join, half = PartitionJoin(small_rule(), CODEC, 0), 2 * (FEW + 2)
    process(join, log.records[:half])
    alone = process(join, log.records[half:-1])
    assert alone.fates == {Fate.MALFORMED: sum(number % 3 > 0 for number in range(FEW + 2))}
    assert process(join, log.records[-1:]).examples == sum(number % 3 == 0 for number in range(FEW + 2))


def test_a_propensity_is_compared_after_an_action_before_it_expired() -> None:
    log = EventLog()
    log.action("a", 100, arm=0)
    log.propensity("a", 160, **SPREAD)
    log.heartbeat(100 + WINDOW_MS)
    log.action("a", 161, arm=2, append_time=100 + WINDOW_MS)
    log.heartbeat(1000)
    assert reasons(joined(log)) == {0: Fate.ORPHAN, 1: Fate.ORPHAN, 3: Fate.MALFORMED}


def test_a_propensity_that_expired_contradicts_nothing() -> None:
    log = EventLog()
    log.propensity("a", 100, **SPREAD)
    log.action("a", 100 + WINDOW_MS - 1, arm=2)
    log.heartbeat(100 + WINDOW_MS)
    log.request("a", 100 + WINDOW_MS)
    log.propensity("a", 100 + WINDOW_MS)
    log.heartbeat(100 + 3 * WINDOW_MS)
    result = joined(log)
    assert reasons(result) == {0: Fate.ORPHAN, 1: Fate.MALFORMED, 3: Fate.INCOMPLETE, 4: Fate.INCOMPLETE}


@given(histories)
@settings(max_examples=100, deadline=None)
def test_a_copy_of_what_a_closed_decision_held_is_orphan_or_late(history: list[Move]) -> None:
    log = written(history)
    before = reference_join(small_rule(), CODEC, log)
    closed = [log[offset] for (_, offset), fate in before.fates.items() if fate == Fate.JOINED and log[offset].key]
    log += [again(record, len(log) + place) for place, record in enumerate(closed)]
    found = process(PartitionJoin(small_rule(), CODEC, 0), log)
    copies = reference_join(small_rule(), CODEC, log).fates
    assert {copies[(0, offset)] for offset in range(len(log) - len(closed), len(log))} <= {Fate.ORPHAN, Fate.LATE}
    assert found.fates == Counter(fate for fate in copies.values() if fate != r.PENDING)


def again(record: LogRecord, offset: int) -> LogRecord:
    """The same bytes, later in the log."""
    return record._replace(offset=offset)


def test_a_repeated_engagement_with_a_newer_time_is_an_orphan_of_its_own_and_the_next_one_its_duplicate() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.engagement("a", 110, engagement_id="e")
    log.heartbeat(120 + WINDOW_MS)
    for _ in range(2):
        log.engagement("a", 121 + WINDOW_MS, engagement_id="e")
    log.heartbeat(1000)
    result = joined(log)
    assert reasons(result) == {5: Fate.ORPHAN}
    assert result.fates[Fate.DUPLICATE] == 1


def test_reasons_are_counted_once_however_many_results_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition_join, "EMISSIONS_AT_ONCE", 1)
    log = EventLog()
    for number in range(5):
        log.request(f"r{number}", 100 + number)
        log.engagement(f"r{number}", 101 + number, kind="hide")
    log.heartbeat(1000)
    assert joined(log).outside == {"unknown_kind": 5}


def test_engagements_that_do_not_count_are_told_apart_by_reason() -> None:
    log = EventLog()
    for parts in (PARTS, PARTS[:2]):
        request_id = f"with {len(parts)}"
        for part in parts:
            getattr(log, part)(request_id, 100)
        for kind, time in (("hide", 101), ("click", 99), ("click", 150), ("Click", 101), ("click", 101)):
            log.engagement(request_id, time, kind=kind)
    log.heartbeat(1000)
    result = joined(log)
    assert result.outside == {"unknown_kind": 4, "before_request": 2, "too_late": 2}
    assert result.fates[Fate.OUTSIDE] == 8
    assert Counter(reference_join(small_rule(), CODEC, log.records).outside.values()) == result.outside
