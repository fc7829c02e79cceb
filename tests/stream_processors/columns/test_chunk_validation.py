"""Chunk validation: in columns or one by one, the verdict on every record is the same."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from event_schemas import records as r
from event_schemas.codec import HEADER, Codec, frame
from event_schemas.log_record import LogRecord
from event_schemas.registry import Registry, schema_entry
from stream_processors.columns import chunk_validation
from stream_processors.columns.chunk_validation import ChunkValidator
from stream_processors.columns.event_columns import EventColumns
from stream_processors.columns.record_columns import RecordColumns
from stream_processors.columns.validated_records import Validated
from stream_processors.rule.event_limits import EVENT_RECORDS
from stream_processors.rule.input_event import InputEvent, MalformedEvent
from tests.stream_processors.event_log import CODEC, WRITERS, EventLog, small_rule
from tests.stream_processors.event_strategies import Move, histories, written

VALIDATOR = ChunkValidator(CODEC, small_rule())


def judge(records: Sequence[LogRecord], validator: ChunkValidator = VALIDATOR) -> list[Validated]:
    validated = validator.validate(RecordColumns.of(records))
    return [validated.verdict(place) for place in range(len(records))]


def sound_log(decisions: int, version: str = "newest") -> list[LogRecord]:
    log = EventLog()
    for number in range(decisions):
        for part in ("request", "action", "propensity"):
            getattr(log, part)(f"r{number}", number, version=version)
        log.ranking(f"r{number}", number)
        log.engagement(f"r{number}", number, item_id="pin")
        log.heartbeat(number)
    return log.records


@pytest.mark.parametrize("version", WRITERS)
def test_a_sound_log_is_all_events_in_order(version: str) -> None:
    log = sound_log(40, version)
    validated = judge(log)
    assert all(isinstance(event, InputEvent) for event in validated)
    assert [event.record for event in validated] == log
    assert validated == [VALIDATOR.validate_one(record) for record in log]


@pytest.mark.parametrize("version", ["newest", "first"])
def test_a_sound_log_of_versions_that_can_be_lifted_is_read_in_columns_alone(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = sound_log(40, version)
    expected = [VALIDATOR.validate_one(record) for record in log]

    def refuse(*_: object) -> None:
        raise AssertionError("it was validated one by one")

    monkeypatch.setattr(ChunkValidator, "validate_one", refuse)
    validated = VALIDATOR.validate(RecordColumns.of(log))
    assert validated.resolved == {}
    assert [validated.verdict(place) for place in range(len(log))] == expected


@given(
    st.lists(
        st.tuples(st.integers(0, 239), st.integers(0, 120), st.integers(0, 255), st.booleans()), min_size=1, max_size=12
    ),
    st.sampled_from(["newest", "first"]),
)
@settings(max_examples=60, deadline=None)
def test_columns_and_one_by_one_agree_on_corrupted_datums(
    damage: list[tuple[int, int, int, bool]], version: str
) -> None:
    log = sound_log(40, version)
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
    value = CODEC.encode(r.TALLY, {"event_time": 1, "source": "s", "counts": [], "arms": [], "spans": []})
    assert "Tally does not belong" in malformed(LogRecord("t", 0, 0, 0, b"s", value)).detail


def test_a_stray_union_index_is_malformed_though_it_decodes() -> None:
    record = EventLog().engagement("a", 5, item_id="pin")
    value = (record.value or b"").replace(b"\x02\x06pin", b"\x01\x06pin")
    assert "not spelled canonically" in malformed(record._replace(value=value)).detail


@pytest.mark.parametrize(("count", "sound"), [(1, True), (10, True), (11, False), (16, False)])
def test_a_number_that_other_readers_refuse_is_malformed_in_any_company(count: int, sound: bool) -> None:
    """Five in `count` bytes: a Propensity of version 1 has no union that would have its numbers compared."""
    record = EventLog().propensity("a", 5, version="first")
    value, short = record.value or b"", b"\x0a"
    at = value.index(short)
    spelled = short if count == 1 else bytes([short[0] | 0x80]) + b"\x80" * (count - 2) + b"\x00"
    record = record._replace(value=value[:at] + spelled + value[at + 1 :])
    alone, company = VALIDATOR.validate_one(record), judge([*sound_log(30), record])[-1]
    assert alone == company
    assert isinstance(alone, InputEvent if sound else MalformedEvent), alone


@pytest.mark.parametrize(
    ("version", "field"),
    [(version, field) for version in ("newest", "first") for field in ("eligible", "weights")]
    + [("newest", "shadow_weights")],
)
def test_an_array_in_blocks_is_sound_alone_and_in_company(version: str, field: str) -> None:
    """A negative count, then how many bytes the items have: every reader knows it, though no writer of ours does it."""
    log = EventLog()
    values: dict[str, Any] = {"eligible": [2], "weights": [3.0], "shadow_weights": [1.5]}
    record = log.action("a", 5, version=version, **values)
    value, item = record.value or b"", b"\x04" if field == "eligible" else struct.pack("<d", *values[field])
    plain = b"\x02" + item + b"\x00"
    assert value.count(plain) == 1
    in_blocks = record._replace(value=value.replace(plain, b"\x01" + bytes([2 * len(item)]) + item + b"\x00"))
    alone, company = VALIDATOR.validate_one(in_blocks), judge([*sound_log(30, version), in_blocks])[-1]
    assert alone == company
    assert isinstance(alone, InputEvent), alone
    assert CODEC.decode_datum(CODEC.schema_id(r.ACTION), alone.datum) == CODEC.decode(record.value).record


def spelled_out(kind: Any) -> Any:
    """The same type as some tools write it."""
    if isinstance(kind, list):
        return [spelled_out(branch) for branch in kind]
    return {"type": kind, "avro.java.string": "String"} if kind == "string" else kind


def test_a_foreign_version_that_can_be_lifted_is_read_in_columns_however_it_spells_its_types() -> None:
    newest = CODEC.registry.newest(r.ACTION)
    first = newest.schema["fields"][:-1]
    fields = [{**field, "type": spelled_out(field["type"]), "order": "ignore"} for field in first]
    foreign = schema_entry(100, newest.subject, 7, {**newest.schema, "fields": fields, "namespace": "foreign"})
    codec = Codec(Registry(CODEC.registry.entries(), [foreign]))
    validator = ChunkValidator(codec, small_rule())
    log = EventLog()
    for number in range(40):
        record = log.action(f"r{number}", number, version="first")
        log.records[-1] = record._replace(value=frame(100, (record.value or b"")[HEADER.size :]))
    validated = validator.validate(RecordColumns.of(log.records))
    assert validated.resolved == {}
    assert [validated.verdict(place) for place in range(40)] == [validator.validate_one(each) for each in log.records]


def test_a_version_that_cannot_be_lifted_is_resolved_to_the_newest() -> None:
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
