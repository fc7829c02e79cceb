"""Which of the held schemas are Trimtab's, which others can be read, and which are ignored."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from event_schemas.codec import Codec, frame
from event_schemas.errors import UnknownSchema
from event_schemas.foreign_schemas import lacking, misfit_of, told_apart
from event_schemas.held_schemas import HeldSchema
from event_schemas.registry import Registry, SchemaEntry, schema_entry
from tests.event_schemas.schema_mutations import mutations
from tests.record_samples import ENGAGEMENT, SAMPLES

BUNDLED = Registry.bundled()
OURS = tuple(
    HeldSchema(entry.schema_id + 100, entry.subject, entry.version, "AVRO", json.dumps(entry.schema))
    for entry in BUNDLED.entries()
)
ENGAGEMENTS = BUNDLED.newest("Engagement")
SURFACE = {"name": "surface", "type": ["null", "string"], "default": None}


def held(schema: Any, schema_id: int = 200, version: int = 2, kind: str = "AVRO") -> HeldSchema:
    text = schema if isinstance(schema, str) else json.dumps(schema)
    return HeldSchema(schema_id, ENGAGEMENTS.subject, version, kind, text)


def known(*others: HeldSchema) -> Registry:
    assert lacking([*OURS, *others], BUNDLED) == []
    return told_apart([*OURS, *others], BUNDLED)


@pytest.mark.parametrize("entry", BUNDLED.newest_by_subject().values(), ids=lambda entry: entry.name)
def test_a_process_writes_what_it_ships_whatever_others_registered(entry: SchemaEntry) -> None:
    foreign = [
        HeldSchema(1000 + place, entry.subject, 1 + entry.version + place, "AVRO", json.dumps(mutation.schema))
        for place, mutation in enumerate(mutations(entry.schema))
    ]
    registry = known(*foreign)
    assert registry.newest(entry.name).schema_id == entry.schema_id + 100
    framed = Codec(registry).encode(entry.name, SAMPLES[entry.name])
    assert Codec(registry).decode(framed).record == SAMPLES[entry.name]
    for each, mutation in zip(foreign, mutations(entry.schema), strict=True):
        if mutation.fits:
            assert registry.entry(each.schema_id).version == each.version
        else:
            with pytest.raises(UnknownSchema, match=f"id {each.schema_id} cannot be read: version {each.version} of"):
                registry.entry(each.schema_id)


@pytest.mark.parametrize("entry", BUNDLED.entries(), ids=lambda entry: f"{entry.name}.v{entry.version}")
def test_every_shipped_version_keeps_its_own_id_and_is_read_in_the_newest_shape(entry: SchemaEntry) -> None:
    fields = {field["name"] for field in entry.schema["fields"]}
    written = {name: value for name, value in SAMPLES[entry.name].items() if name in fields}
    datum = Codec(Registry([entry])).encode_datum(entry.name, written)
    decoded = Codec(known()).decode(frame(entry.schema_id + 100, datum))
    assert (decoded.name, decoded.version, decoded.record) == (entry.name, entry.version, SAMPLES[entry.name])


def test_the_previous_release_reads_what_this_one_writes_without_what_is_new() -> None:
    """As far as it finds the new versions in the registry, at its start."""
    before = Registry(entry for entry in BUNDLED.entries() if entry.version == 1)
    registry = told_apart(OURS, before)
    for newest in BUNDLED.newest_by_subject().values():
        if newest.version == 1:
            continue
        framed = Codec(known()).encode(newest.name, SAMPLES[newest.name])
        decoded = Codec(registry).decode(framed)
        assert decoded.version == newest.version
        assert Codec(before).encode(newest.name, decoded.record), "it is whole for the release that reads it"
        assert decoded.record != SAMPLES[newest.name]
        with pytest.raises(UnknownSchema, match="is not registered"):
            Codec(before).decode(frame(newest.schema_id, framed[5:]))


def test_a_newer_version_that_fits_is_read_without_what_we_do_not_know() -> None:
    newer = {**ENGAGEMENTS.schema, "fields": [*ENGAGEMENTS.schema["fields"], SURFACE]}
    codec = Codec(known(held(newer)))
    theirs = Codec(Registry([schema_entry(200, ENGAGEMENTS.subject, 2, newer)]))
    decoded = codec.decode(theirs.encode("Engagement", {**ENGAGEMENT, "surface": "home"}))
    assert (decoded.record, decoded.version, decoded.schema_id) == (ENGAGEMENT, 2, 200)


def test_a_version_that_does_not_fit_is_named(caplog: pytest.LogCaptureFixture) -> None:
    fields = [field for field in ENGAGEMENTS.schema["fields"] if field["name"] != "kind"]
    codec = Codec(known(held({**ENGAGEMENTS.schema, "fields": fields})))
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "trimtab.Engagement version 2 (id 200)" in line
    assert "kind: is missing" in line
    assert "fix: remove that version" in line
    with pytest.raises(
        UnknownSchema, match=r"version 2 of trimtab\.Engagement does not fit Trimtab's: kind: is missing"
    ):
        codec.decode(frame(200, b"anything"))


@pytest.mark.parametrize(
    ("schema", "kind", "misfit"),
    [
        ('syntax = "proto3";', "PROTOBUF", "it is PROTOBUF, not AVRO"),
        ("nonsense", "AVRO", "it is not an Avro schema, its text is not JSON: 'nonsense'"),
        ('syntax = "proto3";', "AVRO", "it is not an Avro schema, its text is not JSON: 'syntax = "),
        ('{"type": "object", "properties": {}}', "AVRO", "it is not an Avro schema: it has the unknown type object"),
        ("7", "AVRO", "its schema is not that of a record: '7'"),
        ("[]", "AVRO", "its schema is not that of a record"),
        ("{}", "AVRO", "it is not an Avro schema"),
        ('{"type": "recor", "name": "Engagement"}', "AVRO", "it is not an Avro schema"),
        ('{"type": "record", "name": "Engagement"}', "AVRO", "kind: is missing"),
        ('{"type": "record", "name": "Engagement", "fields": [{"name": "a", "type": "shop.Pin"}]}', "AVRO", "shop.Pin"),
        ('{"type": "string"}', "AVRO", "string instead of record"),
        (json.dumps([ENGAGEMENTS.schema]), "AVRO", "its schema is not that of a record"),
        ("[" * 100_000, "AVRO", "it is not an Avro schema"),
        ('{"type":' * 900 + '"int"' + "}" * 900, "AVRO", "it is not an Avro schema"),
    ],
)
def test_what_is_no_version_of_ours_is_no_obstacle(schema: str, kind: str, misfit: str) -> None:
    foreign = held(schema, kind=kind)
    found = misfit_of(foreign, ENGAGEMENTS)
    assert misfit in found
    assert "{'" not in found, "no dict of Python"
    with pytest.raises(UnknownSchema, match="id 200 cannot be read"):
        known(foreign).entry(200)


def test_shipped_versions_that_are_not_held_are_told() -> None:
    held = [each for each in OURS if each.subject != ENGAGEMENTS.subject]
    assert [entry.subject for entry in lacking(held, BUNDLED)] == [ENGAGEMENTS.subject]
    with pytest.raises(UnknownSchema, match="Engagement"):
        told_apart(held, BUNDLED).newest("Engagement")


def test_the_first_copy_of_a_shipped_version_counts_and_the_others_are_read() -> None:
    registry = known(held(json.dumps(ENGAGEMENTS.schema, indent=2)))
    assert registry.schema_id("Engagement") == ENGAGEMENTS.schema_id + 100
    assert registry.entry(200).name == "Engagement"


def test_subjects_of_others_are_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    registry = known(HeldSchema(200, "shop.Pin", 1, "AVRO", '"string"'))
    assert not caplog.records
    with pytest.raises(UnknownSchema, match="is not registered"):
        registry.entry(200)
