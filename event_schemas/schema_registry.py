"""Schema ids from a Confluent Schema Registry, when one is configured."""

from __future__ import annotations

import json
from collections.abc import Iterator

from event_schemas.registry import Registry, SchemaEntry, schema_entry
from event_schemas.registry_client import RegistryConnection


def load_registry(url: str | None) -> Registry:
    """The registry every stage uses: the bundled one, or with `url` the ids a Schema Registry gives.

    With `url` the bundled schemas are registered under their subjects (`trimtab.Request` and so on; a no-op when
    already there), so that ids are the registry's own. Versions that others registered there count too, up to the time
    of the call: a process reads what a newer one writes, and writes the newest version itself, with the defaults of
    fields it does not know. A version of a part and the Example that nests it belong together: register both before a
    process starts.
    Raises ComponentUnreachable when the registry does not answer or refuses a schema, RightMissing, or SettingError for
    an address that is none.
    """
    bundled = Registry.bundled()
    return bundled if url is None else Registry(_registered(RegistryConnection(url), bundled))


def _registered(registry: RegistryConnection, bundled: Registry) -> Iterator[SchemaEntry]:
    from confluent_kafka.schema_registry import Schema

    for entry in bundled.entries():
        with registry.asking(f"register {entry.subject} v{entry.version}"):
            registry.client.register_schema(entry.subject, Schema(json.dumps(entry.schema), "AVRO"))
    for subject in sorted({entry.subject for entry in bundled.entries()}):
        yield from _versions(registry, subject)


def _versions(registry: RegistryConnection, subject: str) -> Iterator[SchemaEntry]:
    """Every version of a subject, numbered as the registry does; a schema that does not parse is none of ours."""
    with registry.asking(f"read the versions of {subject}"):
        for version in registry.client.get_versions(subject):
            found = registry.client.get_version(subject, version)
            yield schema_entry(found.schema_id or 0, subject, version, json.loads(found.schema.schema_str or ""))
