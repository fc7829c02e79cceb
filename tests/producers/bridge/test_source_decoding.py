"""JSON and Avro values as plain data; unreadable ones raise an error that says why."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.bridge_section import BridgeSpec
from event_schemas.codec import frame
from event_schemas.errors import MalformedRecord, SettingError, UnknownSchema
from producers.bridge.source_decoding import decode_avro, decode_json, decoder_for, framed_decoder

SCHEMA = {
    "type": "record",
    "name": "Save",
    "fields": [
        {"name": "request", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
PARSED = parse_schema(dict(SCHEMA))
SAVE = {"request": "r", "at": datetime(2026, 11, 25, tzinfo=UTC)}


def datum() -> bytes:
    sink = io.BytesIO()
    schemaless_writer(sink, PARSED, SAVE)
    return sink.getvalue()


def section(**fields: Any) -> BridgeSpec:
    mapping = {"request_id": "request", "event_time": "at", "kind": "kind"}
    return BridgeSpec.model_validate({"topic": "saves", "fields": mapping, **fields})


def test_json() -> None:
    assert decode_json(b'\xef\xbb\xbf{"a": "\xc3\xa4"}') == {"a": "ä"}
    for value in (b"", b"{", b"\xff\xfe\xfa", b"[" * 100_000, b"nope"):
        with pytest.raises(MalformedRecord, match="value is not JSON"):
            decode_json(value)


def test_avro_with_and_without_a_frame() -> None:
    assert decode_avro(PARSED, datum()) == SAVE
    assert framed_decoder({7: PARSED}.__getitem__)(frame(7, datum())) == SAVE


@given(st.binary(max_size=30))
def test_any_bytes_are_either_read_or_malformed(value: bytes) -> None:
    for decode in (framed_decoder(lambda _: PARSED), lambda value: decode_avro(PARSED, value), decode_json):
        try:
            decode(value)
        except MalformedRecord as fault:
            assert fault.fix


def test_bytes_left_over_mean_another_schema() -> None:
    with pytest.raises(MalformedRecord, match="leaves 1 of"):
        decode_avro(PARSED, datum() + b"\x00")


def test_the_section_chooses(tmp_path: Path) -> None:
    (tmp_path / "save.avsc").write_text(json.dumps(SCHEMA), encoding="utf-8")
    bare = decoder_for(section(format="avro", framing="bare", schema_file="save.avsc"), tmp_path, None)
    framed = decoder_for(section(format="avro", schema_file="save.avsc"), tmp_path, "http://127.0.0.1:1")
    assert bare(datum()) == framed(frame(123, datum())) == SAVE
    assert decoder_for(section(), tmp_path, None)(b"[1]") == [1]


def test_framing_needs_somebody_who_knows_the_schemas(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="no registry or file gives its schemas"):
        decoder_for(section(format="avro"), tmp_path, None)


def test_an_unknown_schema_is_told_as_such() -> None:
    def unknown(schema_id: int) -> Any:
        raise UnknownSchema(f"{schema_id} is unknown", fix="register it")

    with pytest.raises(UnknownSchema, match="9 is unknown"):
        framed_decoder(unknown)(frame(9, b"x"))
