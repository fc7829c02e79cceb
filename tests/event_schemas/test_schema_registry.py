"""Ids from a Schema Registry over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from event_schemas.codec import Codec
from event_schemas.errors import ComponentUnreachable
from event_schemas.registry import Registry
from event_schemas.schema_registry import load_registry
from tests.components.schema_registry import RegisteredSchemas, schema_registry
from tests.record_samples import ENGAGEMENT


@pytest.fixture
def held() -> RegisteredSchemas:
    return RegisteredSchemas()


@pytest.fixture
def registry_url(held: RegisteredSchemas) -> Iterator[str]:
    with schema_registry(held) as url:
        yield url


def test_without_a_url_the_bundled_ids_hold() -> None:
    assert load_registry(None).schema_id("Request") == 1


def test_with_a_url_the_registry_s_ids_hold(registry_url: str) -> None:
    codec = Codec(load_registry(registry_url))
    framed = codec.encode("Engagement", ENGAGEMENT)
    assert framed[4] >= 100
    assert codec.decode(framed).record == ENGAGEMENT
    assert Codec(load_registry(registry_url)).encode("Engagement", ENGAGEMENT) == framed
    assert len(codec.registry.entries()) == len(Registry.bundled().entries())


def test_versions_that_others_registered_are_known(held: RegisteredSchemas, registry_url: str) -> None:
    old = Codec(load_registry(registry_url))
    bundled = Registry.bundled().newest("Engagement").schema
    surface = {"name": "surface", "type": ["null", "string"], "default": None, "doc": "Where."}
    schema_id = held.register("trimtab.Engagement", {**bundled, "fields": [*bundled["fields"], surface]})

    codec = Codec(load_registry(registry_url))
    assert (codec.schema_id("Engagement"), codec.registry.newest("Engagement").version) == (schema_id, 2)
    written = codec.encode("Engagement", ENGAGEMENT)
    assert codec.decode(written).record == {**ENGAGEMENT, "surface": None}
    assert codec.decode(old.encode("Engagement", ENGAGEMENT)).record == {**ENGAGEMENT, "surface": None}


def test_a_silent_registry_is_an_error_that_names_it() -> None:
    with pytest.raises(ComponentUnreachable, match=r"127\.0\.0\.1:1"):
        load_registry("http://127.0.0.1:1")


def test_a_registry_that_breaks_or_holds_nonsense_is_an_error(held: RegisteredSchemas, registry_url: str) -> None:
    held.register("trimtab.Engagement", {"type": "recor"})
    with pytest.raises(ComponentUnreachable, match=r"read the versions of trimtab\.Engagement"):
        load_registry(registry_url)
    held.refuses_with = 500
    with pytest.raises(ComponentUnreachable, match=r"refuses the request \(register trimtab"):
        load_registry(registry_url)
