"""Reconciliation: silent when all is well, and each kind of difference counted and named."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from event_schemas import records as r
from event_schemas.decision_key import DecisionKey
from event_schemas.log_record import LogRecord
from stream_processors.audit.reconciliation import NAMED_DIFFERENCES, ReconcileReport, compare
from stream_processors.partition.partition_join import Emission, PartitionJoin
from stream_processors.rule.reference_join import reference_join
from tests.stream_processors.event_log import CODEC, WINDOW_MS, EventLog, small_rule
from tests.stream_processors.join_runs import joined, process


def events() -> list[LogRecord]:
    log = EventLog()
    log.decision("a", 100)
    log.decision("b", 110)
    log.engagement("b", 111)
    log.request("c", 120)
    log.append(b"d", b"junk", 120)
    log.heartbeat(1000)
    log.request("open", 1000)
    return log.records


def outputs() -> tuple[list[LogRecord], list[LogRecord]]:
    emissions = process(PartitionJoin(small_rule(), CODEC, 0), events()).emissions
    return records("example", emissions), records("dead_letter", emissions)


def records(kind: str, emissions: tuple[Emission, ...]) -> list[LogRecord]:
    chosen = [emission for emission in emissions if emission.kind == kind]
    return [LogRecord(kind, 0, offset, 0, e.key, e.value) for offset, e in enumerate(chosen)]


def report(examples: list[LogRecord], letters: list[LogRecord]) -> ReconcileReport:
    return compare(reference_join(small_rule(), CODEC, events()), CODEC, examples, letters)


def test_what_the_join_wrote_is_what_the_log_demands() -> None:
    found = report(*outputs())
    assert found.ok
    assert (found.inputs, found.pending, found.differences) == (11, 1, ())
    assert (found.examples_expected, found.examples_found, found.dead_letters_expected) == (2, 2, 2)
    assert found.fates["joined"] == 8
    assert sum(found.fates.values()) + found.pending == found.inputs
    assert tuple(found.fates) == r.FATES
    assert json.loads(json.dumps(found.as_dict()))["ok"] is True


def test_second_copies_are_counted_and_no_difference() -> None:
    examples, letters = outputs()
    found = report(examples + examples[:1], letters + letters)
    assert found.ok
    assert (found.duplicated, found.dead_letters_repeated) == (1, 2)


def test_a_copy_that_says_something_else_is_a_difference() -> None:
    examples, letters = outputs()
    found = report([*examples, other_reward(examples[0])], letters)
    assert (found.ok, found.duplicated, found.duplicated_differing, found.differing) == (False, 1, 1, 0)
    assert found.differences == ("a later copy of example a of 100 has different content",)
    found = report(examples, [*letters, other_reason(letters[0])])
    assert (found.ok, found.dead_letters_repeated, found.dead_letters_repeated_differing) == (False, 1, 1)
    assert "has different content" in found.differences[0]


def test_the_differences_not_listed_are_counted() -> None:
    log = EventLog()
    for number in range(NAMED_DIFFERENCES + 7):
        log.decision(f"a{number}", 100)
    log.heartbeat(10_000)
    found = compare(reference_join(small_rule(10**6), CODEC, log.records), CODEC, [], [])
    assert (found.ok, len(found.differences)) == (False, NAMED_DIFFERENCES)
    assert found.total_differences == found.lost == NAMED_DIFFERENCES + 7


def test_an_id_used_again_gives_another_example_and_no_copy() -> None:
    log = EventLog()
    for time in (100, 1000):
        log.decision("a", time)
        log.engagement("a", time + 1)
        log.heartbeat(time + 2 * WINDOW_MS)
    emissions = joined(log).emissions
    examples = records("example", emissions)
    found = compare(reference_join(small_rule(), CODEC, log.records), CODEC, examples, [])
    assert found.ok and (found.examples_found, found.duplicated) == (2, 0)
    found = compare(reference_join(small_rule(), CODEC, log.records), CODEC, examples[:1], [])
    assert (found.ok, found.lost, found.differences) == (False, 1, ("example a of 1000 is missing",))


def other_reward(record: LogRecord) -> LogRecord:
    content = CODEC.decode(record.value).record
    content["outcome"]["objectives"][0]["reward"] += 1
    return record._replace(value=CODEC.encode(r.EXAMPLE, content))


def other_reason(record: LogRecord) -> LogRecord:
    return record._replace(value=CODEC.encode(r.DEAD_LETTER, CODEC.decode(record.value).record | {"reason": "late"}))


def other_place(record: LogRecord) -> LogRecord:
    return record._replace(value=CODEC.encode(r.DEAD_LETTER, CODEC.decode(record.value).record | {"offset": 0}))


Change = Callable[[list[LogRecord], list[LogRecord]], tuple[list[LogRecord], list[LogRecord]]]


@pytest.mark.parametrize(
    ("change", "count", "named"),
    [
        (lambda e, d: (e[1:], d), "lost", "example a of 100 is missing"),
        (lambda e, d: ([other_reward(e[0]), e[1]], d), "differing", "example a of 100 differs"),
        (lambda e, d: (e, d[:1]), "dead_letters_missing", "dead letter of (0, 7) is missing"),
        (lambda e, d: (e, [other_reason(d[0]), d[1]]), "dead_letters_differing", "differs"),
        (lambda e, d: (e, [*d, other_place(d[0])]), "dead_letters_extra", "dead letter of (0, 0) is not expected"),
    ],
)
def test_each_difference_is_counted_and_named(change: Change, count: str, named: str) -> None:
    found = report(*change(*outputs()))
    assert not found.ok
    assert getattr(found, count) == 1
    assert named in found.differences[0]


def test_an_example_without_a_complete_decision_is_unexpected() -> None:
    examples, letters = outputs()
    content = CODEC.decode(examples[0].value).record
    content["request"]["request_id"] = "ghost"
    found = report([*examples, examples[0]._replace(value=CODEC.encode(r.EXAMPLE, content))], letters)
    assert (found.ok, found.unexpected) == (False, 1)


def test_dead_letters_of_other_sources_are_left_aside() -> None:
    examples, letters = outputs()
    foreign = CODEC.decode(letters[0].value).record | {"topic": "replay:file.csv"}
    assert report(examples, [*letters, letters[0]._replace(value=CODEC.encode(r.DEAD_LETTER, foreign))]).ok


def test_a_replayed_example_is_verified_and_its_letters_are_fixed() -> None:
    examples, letters = outputs()
    replayed = CODEC.decode(examples[0].value).record
    replayed["request"]["request_id"] = "c"
    value, key = CODEC.encode(r.EXAMPLE, replayed), DecisionKey.of_example(replayed)
    everything = [*examples, examples[0]._replace(key=b"c", value=value)]
    reference = reference_join(small_rule(), CODEC, events())
    (incomplete,) = [letter for letter in letters if letter.key == b"c"]
    (junk,) = [letter for letter in letters if letter.key == b"d"]
    fixed = [junk, incomplete._replace(value=_as(incomplete, reason="malformed"))]

    trusted = compare(reference, CODEC, everything, fixed, {key: value})
    assert trusted.ok, trusted.differences
    assert (trusted.replayed, trusted.dead_letters_mended, trusted.unexpected) == (1, 1, 0)
    for offline in ({key: None}, {key: examples[1].value}, {}):
        doubted = compare(reference, CODEC, everything, fixed, offline)
        assert (doubted.ok, doubted.replayed, doubted.unexpected, doubted.dead_letters_differing) == (False, 0, 1, 1)


def test_a_replayed_example_that_the_log_demands_today_is_neither_lost_nor_extra() -> None:
    examples, letters = outputs()
    reference = reference_join(small_rule(), CODEC, events())
    old = CODEC.decode(letters[0].value).record | {"key": b"a", "offset": 1, "request_id": "a"}
    extra = letters[0]._replace(key=b"a", value=CODEC.encode(r.DEAD_LETTER, old))
    found = compare(reference, CODEC, examples, [*letters, extra], {DecisionKey("a", 100): None})
    assert found.ok, found.differences
    assert (found.replayed, found.dead_letters_mended) == (1, 1)
    assert compare(reference, CODEC, examples, [*letters, extra]).dead_letters_extra == 1


def _as(letter: LogRecord, **fields: object) -> bytes:
    return CODEC.encode(r.DEAD_LETTER, CODEC.decode(letter.value).record | fields)
