"""The codec: what goes in comes out, and bytes that are not a record are refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.codec import Codec, frame, unframe
from event_schemas.errors import MalformedRecord, UnknownSchema
from event_schemas.registry import Registry, schema_entry
from event_schemas.topics import EVENTS
from tests.conformance.present_code import answer_frame
from tests.conformance.vector_files import Case, cases
from tests.record_samples import ENGAGEMENT, SAMPLES

CODEC = Codec(Registry.bundled())


@pytest.mark.parametrize("name", SAMPLES)
def test_every_record_survives_a_round_trip(name: str) -> None:
    decoded = CODEC.decode(CODEC.encode(name, SAMPLES[name]))
    assert (decoded.name, decoded.record) == (name, SAMPLES[name])


@pytest.mark.parametrize("case", cases("framing"), ids=str)
def test_bytes_are_those_of_the_contract(case: Case) -> None:
    assert answer_frame(case.given) == case.expected, case.why


def test_framing_is_the_confluent_wire_format() -> None:
    framed = CODEC.encode("Engagement", ENGAGEMENT)
    assert unframe(framed) == (5, framed[5:])


@pytest.mark.parametrize("value", [None, b"", b"\x00\x00\x00", b"\x01\x00\x00\x00\x05abc"])
def test_bad_frames_are_malformed(value: bytes | None) -> None:
    with pytest.raises(MalformedRecord):
        CODEC.decode(value)


def test_an_unknown_schema_id_is_named() -> None:
    with pytest.raises(UnknownSchema, match="schema id 4711"):
        CODEC.decode(frame(4711, b"x"))


def test_bytes_left_over_are_malformed() -> None:
    with pytest.raises(MalformedRecord, match="2 of"):
        CODEC.decode(CODEC.encode("Engagement", ENGAGEMENT) + b"xx")


def test_a_truncated_datum_is_malformed() -> None:
    with pytest.raises(MalformedRecord):
        CODEC.decode(CODEC.encode("Request", SAMPLES["Request"])[:-3])


def test_a_record_with_a_wrong_type_is_refused_with_its_name() -> None:
    with pytest.raises(MalformedRecord, match="Engagement cannot be encoded"):
        CODEC.encode("Engagement", {**ENGAGEMENT, "event_time": "yesterday"})


@given(st.binary(max_size=200), st.integers(1, 9))
def test_arbitrary_bytes_never_raise_anything_else(datum: bytes, schema_id: int) -> None:
    try:
        decoded = CODEC.decode(frame(schema_id, datum))
    except (MalformedRecord, UnknownSchema) as refused:
        assert refused.fix
    else:
        assert decoded.record is not None


def test_an_older_version_is_resolved_to_the_newest_shape() -> None:
    fields: list[dict[str, Any]] = [{"name": "event_time", "type": "long"}]
    added = {"name": "source", "type": ["null", "string"], "default": None}
    old = schema_entry(1, "trimtab.Beat", 1, {"type": "record", "name": "Beat", "fields": fields})
    new = schema_entry(2, "trimtab.Beat", 2, {"type": "record", "name": "Beat", "fields": [*fields, added]})
    written = Codec(Registry([old])).encode("Beat", {"event_time": 5})
    codec = Codec(Registry([old, new]))
    decoded = codec.decode(written)
    assert (decoded.version, decoded.record) == (1, {"event_time": 5, "source": None})
    assert codec.lifts == {frame(1, b""): b"\0", frame(2, b""): b""}
    assert codec.newest_datum(written, decoded) == codec.encode_datum("Beat", decoded.record)


def test_a_version_that_cannot_be_lifted_is_encoded_again() -> None:
    time, source = {"name": "event_time", "type": "long"}, {"name": "source", "type": "string"}
    old = schema_entry(1, "trimtab.Beat", 1, {"type": "record", "name": "Beat", "fields": [source, time]})
    new = schema_entry(2, "trimtab.Beat", 2, {"type": "record", "name": "Beat", "fields": [time, source]})
    stray = schema_entry(3, "elsewhere", 1, {"type": "record", "name": "NotShipped", "fields": [time]})
    codec = Codec(Registry([old, new], others=[stray]))
    assert codec.lifts == {frame(2, b""): b""}
    written = Codec(Registry([old])).encode("Beat", {"event_time": 5, "source": "s"})
    decoded = codec.decode(written)
    assert codec.newest_datum(written, decoded) == codec.encode_datum("Beat", decoded.record)


def test_every_version_of_an_event_is_lifted() -> None:
    """The join reads in columns what can be lifted, and everything else one by one."""
    events = [entry for entry in CODEC.registry.entries() if entry.name in EVENTS.records]
    assert {entry.version for entry in events} >= {1, 2}
    for entry in events:
        assert frame(entry.schema_id, b"") in CODEC.lifts, (entry.name, entry.version)


def test_nesting_is_concatenation() -> None:
    """The property that lets the join splice bytes instead of encoding examples."""
    example = SAMPLES["Example"]
    spliced = (
        CODEC.encode_datum("Request", example["request"])
        + CODEC.encode_datum("Action", example["action"])
        + CODEC.encode_datum("Propensity", example["propensity"])
    )
    assert CODEC.encode_datum("Example", example).startswith(spliced)
