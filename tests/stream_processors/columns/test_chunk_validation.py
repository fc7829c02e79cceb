"""Chunk validation: in columns or one by one, the verdict on every record is the same."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.log_record import LogRecord
from event_schemas.registry import Registry, schema_entry
from stream_processors.columns import chunk_validation
from stream_processors.columns.chunk_validation import ChunkValidator
from stream_processors.columns.event_columns import EventColumns
from stream_processors.columns.record_columns import RecordColumns
from stream_processors.columns.validated_records import Validated
from stream_processors.rule.event_limits import EVENT_RECORDS
from stream_processors.rule.input_event import InputEvent, MalformedEvent
from tests.stream_processors.event_log import CODEC, EventLog, small_rule
from tests.stream_processors.event_strategies import Move, histories, written

VALIDATOR = ChunkValidator(CODEC, small_rule())


def judge(records: Sequence[LogRecord], validator: ChunkValidator = VALIDATOR) -> list[Validated]:
    validated = validator.validate(RecordColumns.of(records))
    return [validated.verdict(place) for place in range(len(records))]


def sound_log(decisions: int) -> list[LogRecord]:
    log = EventLog()
    for number in range(decisions):
        log.decision(f"r{number}", number)
        log.ranking(f"r{number}", number)
        log.engagement(f"r{number}", number, item_id="pin")
        log.heartbeat(number)
    return log.records


def test_a_sound_log_is_all_events_in_order() -> None:
    log = sound_log(40)
    validated = judge(log)
    assert all(isinstance(event, InputEvent) for event in validated)
    assert [event.record for event in validated] == log
    assert validated == [VALIDATOR.validate_one(record) for record in log]


@given(
    st.lists(
        st.tuples(st.integers(0, 239), st.integers(0, 120), st.integers(0, 255), st.booleans()), min_size=1, max_size=12
    )
)
@settings(max_examples=60, deadline=None)
def test_columns_and_one_by_one_agree_on_corrupted_datums(damage: list[tuple[int, int, int, bool]]) -> None:
    log = sound_log(40)
    for index, at, byte, cut in damage:
        value = log[index].value or b""
        at = min(at, len(value) - 1)
        log[index] = log[index]._replace(value=value[:at] if cut else value[:at] + bytes([byte]) + value[at + 1 :])
    assert judge(log) == [VALIDATOR.validate_one(record) for record in log]


@given(histories)
@settings(max_examples=60, deadline=None)
def test_columns_and_one_by_one_agree_on_random_logs(history: list[Move]) -> None:
    log = written(history)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunk_validation, "ONE_BY_ONE", 1)
        assert judge(log) == [VALIDATOR.validate_one(record) for record in log]


def test_a_fault_of_the_columns_only_costs_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("not foreseen")

    log = sound_log(40)
    validator = ChunkValidator(CODEC, small_rule())
    monkeypatch.setattr(EventColumns, "read", fail)
    with structlog.testing.capture_logs() as lines:
        assert judge(log, validator) == [VALIDATOR.validate_one(record) for record in log]
        judge(log, validator)
    assert sorted(line["record"] for line in lines) == sorted(EVENT_RECORDS), "one line for each type"


@given(st.lists(histories, min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_chunks_judged_together_are_judged_as_alone(several: list[list[Move]]) -> None:
    chunks = [RecordColumns.of(written(history)) for history in several]
    for number, chunk in enumerate(chunks):
        chunk.partition = number
    together = VALIDATOR.validate_all(chunks)
    for chunk, validated in zip(chunks, together, strict=True):
        alone = [VALIDATOR.validate_one(chunk.record(place)) for place in range(len(chunk))]
        assert [validated.verdict(place) for place in range(len(chunk))] == alone


def malformed(record: LogRecord) -> MalformedEvent:
    (verdict,) = judge([record])
    assert isinstance(verdict, MalformedEvent)
    return verdict


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (None, "value is null"),
        (b"", "0 bytes"),
        (b"\x01\x00\x00\x00\x01", "first byte is 1"),
        (b"\x00\x00\x00\x00\x63rest", "schema id 99 is not registered"),
        (b"\x00\x00\x00\x00\x01\x02", "Request v1 cannot be decoded"),
    ],
)
def test_undecodable_values_say_why(value: bytes | None, detail: str) -> None:
    verdict = malformed(LogRecord("t", 0, 0, 0, b"k", value))
    assert detail in verdict.detail
    assert verdict.request_id is None


def test_a_key_that_is_not_the_request_id_is_named() -> None:
    verdict = malformed(EventLog().request("a", 5)._replace(key=b"b"))
    assert verdict.detail == "key = b'b' is not the request_id 'a'"
    assert (verdict.request_id, verdict.event_time) == ("a", 5)


def test_a_heartbeat_with_a_key_is_malformed() -> None:
    assert "Heartbeat has none" in malformed(EventLog().heartbeat(5)._replace(key=b"a")).detail


def test_a_record_of_another_topic_is_malformed() -> None:
    value = CODEC.encode(r.TALLY, {"event_time": 1, "source": "s", "counts": []})
    assert "Tally does not belong" in malformed(LogRecord("t", 0, 0, 0, b"s", value)).detail


def test_a_stray_union_index_is_malformed_though_it_decodes() -> None:
    record = EventLog().engagement("a", 5, item_id="pin")
    value = (record.value or b"").replace(b"\x02\x06pin", b"\x01\x06pin")
    assert "not spelled canonically" in malformed(record._replace(value=value)).detail


@pytest.mark.parametrize(("count", "sound"), [(1, True), (10, True), (11, False), (16, False)])
def test_a_number_that_other_readers_refuse_is_malformed_in_any_company(count: int, sound: bool) -> None:
    """Five in `count` bytes: a Propensity has no union that would have its numbers compared."""
    record = EventLog().propensity("a", 5)
    value, short = record.value or b"", b"\x0a"
    at = value.index(short)
    spelled = short if count == 1 else bytes([short[0] | 0x80]) + b"\x80" * (count - 2) + b"\x00"
    record = record._replace(value=value[:at] + spelled + value[at + 1 :])
    alone, company = VALIDATOR.validate_one(record), judge([*sound_log(30), record])[-1]
    assert alone == company
    assert isinstance(alone, InputEvent if sound else MalformedEvent), alone


def test_an_older_schema_version_is_resolved_to_the_newest() -> None:
    newest = CODEC.registry.newest(r.REQUEST)
    older = json.loads(json.dumps(dict(newest.schema)))
    older["fields"] = [field for field in older["fields"] if field["name"] != "cohort"]
    codec = Codec(Registry([*CODEC.registry.entries(), schema_entry(100, newest.subject, 0, older)]))
    old_codec = Codec(Registry([schema_entry(100, newest.subject, 0, older)]))
    content = CODEC.decode(EventLog().request("a", 5).value).record
    record = LogRecord("t", 0, 0, 5, b"a", old_codec.encode(r.REQUEST, content))
    (event,) = judge([record], ChunkValidator(codec, small_rule()))
    assert isinstance(event, InputEvent)
    assert event.datum == CODEC.encode_datum(r.REQUEST, content | {"cohort": None})
