"""Registering the shipped schemas at a real Schema Registry, whatever others did there before."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from event_schemas.errors import ComponentUnreachable, SchemaError
from event_schemas.held_schemas import HeldSchema
from event_schemas.registered_schemas import foreign_faults, present_schemas, registered_schemas
from event_schemas.registry import Registry
from event_schemas.registry_client import RegistryConnection, RequestRefused
from tests.components.refusing_front import refusing_front
from tests.components.schema_registry import SchemaRegistry

BUNDLED = Registry.bundled()
SUBJECTS = sorted(entry.subject for entry in BUNDLED.entries())
ENGAGEMENTS = BUNDLED.newest("Engagement")
FOREIGN = {"type": "record", "name": "Engagement", "namespace": "trimtab", "fields": [{"name": "id", "type": "long"}]}


def registered(url: str) -> tuple[HeldSchema, ...]:
    return registered_schemas(RegistryConnection(url), BUNDLED)


def levels(registry: SchemaRegistry) -> dict[str, Any]:
    return {subject: registry.client.get_compatibility(subject) for subject in registry.client.get_subjects()}


def test_an_empty_registry_gets_every_shipped_version(schema_registry: SchemaRegistry) -> None:
    held = registered(schema_registry.url)
    shipped = held[: len(held) // 2]
    assert [json.loads(each.schema) for each in shipped] == [entry.schema for entry in BUNDLED.entries()]
    assert sorted(shipped) == sorted(held[len(held) // 2 :])
    assert levels(schema_registry).items() >= dict.fromkeys(SUBJECTS, "BACKWARD").items()
    assert registered(schema_registry.url) == held, "the second time it only looks"


def test_a_user_who_may_only_read_finds_what_is_there(schema_registry: SchemaRegistry) -> None:
    held = registered(schema_registry.url)

    def no_writing(method: str, path: str) -> int | None:
        return 403 if method == "PUT" or (method == "POST" and "/versions" in path) else None

    with refusing_front(no_writing, schema_registry.address) as address:
        assert registered(schema_registry.url_at(address)) == held


def test_foreign_versions_are_there_after_ours(schema_registry: SchemaRegistry) -> None:
    first = schema_registry.register(ENGAGEMENTS.subject, FOREIGN)
    protobuf = schema_registry.register("trimtab.Heartbeat", 'syntax = "proto3"; message Beat {}', "PROTOBUF")
    held = registered(schema_registry.url)
    ours = len(BUNDLED.entries())
    foreign = {each.schema_id: each for each in held[ours:] if each.schema_id not in {e.schema_id for e in held[:ours]}}
    assert {schema_id: (each.subject, each.kind) for schema_id, each in foreign.items()} == {
        first: (ENGAGEMENTS.subject, "AVRO"),
        protobuf: ("trimtab.Heartbeat", "PROTOBUF"),
    }


@pytest.mark.parametrize(("before", "after"), [("NONE", "BACKWARD"), ("FORWARD", "BACKWARD"), ("FULL", "FULL")])
def test_a_level_that_allows_more_is_replaced(schema_registry: SchemaRegistry, before: str, after: str) -> None:
    schema_registry.register(ENGAGEMENTS.subject, dict(ENGAGEMENTS.schema))
    schema_registry.client.set_compatibility(ENGAGEMENTS.subject, before)
    registered(schema_registry.url)
    assert schema_registry.client.get_compatibility(ENGAGEMENTS.subject) == after


def test_the_registry_then_refuses_what_cannot_be_read(schema_registry: SchemaRegistry) -> None:
    registered(schema_registry.url)
    with pytest.raises(Exception, match="409"):
        schema_registry.register(ENGAGEMENTS.subject, FOREIGN)


@pytest.mark.parametrize("status", [403, 405, 500])
def test_a_level_that_may_not_be_set_is_a_warning(
    schema_registry: SchemaRegistry, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    def no_setting(method: str, path: str) -> int | None:
        return status if method == "PUT" else None

    with refusing_front(no_setting, schema_registry.address) as address:
        held = registered(schema_registry.url_at(address))
    assert len(held) == 2 * len(BUNDLED.entries())
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert all(subject in line for subject in SUBJECTS)
    assert "fix: let this user set the compatibility" in line
    assert "NONE" in levels(schema_registry).values()


def test_a_registry_that_fails_half_way_is_away(schema_registry: SchemaRegistry) -> None:
    def failing(method: str, path: str) -> int | None:
        return 503 if method == "GET" and path.partition("?")[0].endswith("/versions") else None

    with (
        refusing_front(failing, schema_registry.address) as address,
        pytest.raises(ComponentUnreachable, match=r"fails \(read the versions of trimtab\.Action\)") as caught,
    ):
        registered(schema_registry.url_at(address))
    assert type(caught.value) is ComponentUnreachable


def test_a_version_of_ours_that_is_refused_for_others_names_them(schema_registry: SchemaRegistry) -> None:
    schema_registry.register(ENGAGEMENTS.subject, FOREIGN)
    schema_registry.client.set_compatibility(ENGAGEMENTS.subject, "BACKWARD")
    with pytest.raises(
        SchemaError, match="version 1 there: engagement_id: is missing; request_id: is missing"
    ) as caught:
        registered(schema_registry.url)
    assert "register trimtab.Engagement v1" in caught.value.what
    assert "remove the versions of trimtab.Engagement" in caught.value.fix
    schema_registry.client.set_compatibility(ENGAGEMENTS.subject, "NONE")
    registered(schema_registry.url)
    assert schema_registry.client.get_compatibility(ENGAGEMENTS.subject) == "BACKWARD", "the fix that is named works"


@pytest.mark.parametrize("status", [404, 422])
def test_another_refusal_to_register_is_passed_on(schema_registry: SchemaRegistry, status: int) -> None:
    def no_registering(method: str, path: str) -> int | None:
        return status if method == "POST" and path.partition("?")[0].endswith("/versions") else None

    with (
        refusing_front(no_registering, schema_registry.address) as address,
        pytest.raises(RequestRefused, match=r"register trimtab\.Request v1"),
    ):
        registered(schema_registry.url_at(address))


@pytest.mark.parametrize("path", ["/subjects/trimtab.Engagement/versions", "/subjects/trimtab.Engagement/versions/2"])
def test_what_is_deleted_meanwhile_is_left_out(schema_registry: SchemaRegistry, path: str) -> None:
    registered(schema_registry.url)
    schema_registry.client.set_compatibility(ENGAGEMENTS.subject, "NONE")
    schema_registry.register(ENGAGEMENTS.subject, FOREIGN)

    def gone(method: str, asked: str) -> int | None:
        return 404 if method == "GET" and asked.partition("?")[0].endswith(path) else None

    with refusing_front(gone, schema_registry.address) as address:
        url = schema_registry.url_at(address)
        held = registered(url)
        assert foreign_faults(RegistryConnection(url), BUNDLED) == []
    assert {entry.subject for entry in BUNDLED.entries()} == {each.subject for each in held}
    assert all(json.loads(each.schema) != FOREIGN for each in held)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/subjects/trimtab.Request", b"{}"),
        ("/subjects/trimtab.Action/versions", b"{}"),
        ("/subjects/trimtab.Action/versions", b'["x"]'),
        ("/subjects/trimtab.Engagement/versions/1", b"{}"),
    ],
)
def test_an_answer_without_a_number_is_no_registry_s(
    schema_registry: SchemaRegistry, path: str, content: bytes
) -> None:
    schema_registry.register(ENGAGEMENTS.subject, FOREIGN)
    registered(schema_registry.url)

    def another(_: str, asked: str) -> tuple[int, bytes] | None:
        return (200, content) if asked.partition("?")[0].endswith(path) else None

    with (
        refusing_front(another, schema_registry.address) as address,
        pytest.raises(ComponentUnreachable, match="no registry's answer"),
    ):
        registered(schema_registry.url_at(address))


def test_looking_at_what_is_there_changes_nothing(schema_registry: SchemaRegistry) -> None:
    assert present_schemas(RegistryConnection(schema_registry.url), BUNDLED) == ()
    assert not [name for name in schema_registry.client.get_subjects() if name.startswith("trimtab.")]
    held = registered(schema_registry.url)
    schema_registry.client.set_compatibility(ENGAGEMENTS.subject, "NONE")

    def no_writing(method: str, path: str) -> int | None:
        return 500 if method == "PUT" or (method == "POST" and "/versions" in path) else None

    with refusing_front(no_writing, schema_registry.address) as address:
        assert present_schemas(RegistryConnection(schema_registry.url_at(address)), BUNDLED) == held
    assert schema_registry.client.get_compatibility(ENGAGEMENTS.subject) == "NONE"
