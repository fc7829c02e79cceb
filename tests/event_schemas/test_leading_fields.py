"""The first fields of a datum are the same whatever follows them."""

from __future__ import annotations

import json

import pytest

from event_schemas.codec import Codec, frame
from event_schemas.errors import MalformedRecord, UnknownSchema
from event_schemas.leading_fields import LeadingFields
from event_schemas.registry import Registry, SchemaEntry, schema_entry
from tests.record_samples import SAMPLES, TALLY

REGISTRY = Registry.bundled()
CODEC = Codec(REGISTRY)
HEAD = ("event_time", "source", "counts")
LEADING = LeadingFields(CODEC, "Tally", HEAD)


def versions() -> list[SchemaEntry]:
    return [entry for entry in REGISTRY.entries() if entry.name == "Tally"]


@pytest.mark.parametrize("entry", versions(), ids=lambda entry: f"v{entry.version}")
def test_every_version_is_read(entry: SchemaEntry) -> None:
    fields = {field["name"] for field in entry.schema["fields"]}
    datum = Codec(Registry([entry])).encode_datum("Tally", {name: TALLY[name] for name in fields})
    assert LEADING.read(frame(entry.schema_id, datum)) == {name: TALLY[name] for name in HEAD}


def test_what_follows_is_not_looked_at() -> None:
    framed = CODEC.encode("Tally", TALLY)
    assert LEADING.read(framed[:-2]) == LEADING.read(framed + b"more") == LEADING.read(framed)


def test_a_version_with_other_fields_in_front_is_decoded_as_a_whole() -> None:
    schema = json.loads(json.dumps(REGISTRY.newest("Tally").schema))
    schema["fields"].insert(0, schema["fields"].pop())
    moved = schema_entry(99, "trimtab.Tally", 3, schema)
    datum = Codec(Registry([moved])).encode_datum("Tally", TALLY)
    codec = Codec(Registry(REGISTRY.entries(), [moved]))
    assert LeadingFields(codec, "Tally", HEAD).read(frame(99, datum)) == {name: TALLY[name] for name in HEAD}


def test_faults_are_named() -> None:
    for framed in (None, b"", b"\x00", CODEC.encode("Tally", TALLY)[:8]):
        with pytest.raises(MalformedRecord):
            LEADING.read(framed)
    with pytest.raises(MalformedRecord, match="a Heartbeat, not a Tally"):
        LEADING.read(CODEC.encode("Heartbeat", SAMPLES["Heartbeat"]))
    with pytest.raises(UnknownSchema):
        LEADING.read(frame(4_711, b""))
