"""Schema ids from a Confluent Schema Registry, when one is configured."""

from __future__ import annotations

import json
from collections.abc import Iterator

from event_schemas.registry import Registry, SchemaEntry, schema_entry
from event_schemas.registry_client import RegistryConnection


def load_registry(url: str | None) -> Registry:
    """The registry that every stage uses: the bundled one, or, with `url`, the ids that a Schema Registry assigns.

    With `url`, the bundled schemas are registered under their subjects (`trimtab.Request` and so on; this does nothing
    if they are already there), so that the registry assigns the ids. The result also includes versions that others had
    registered before the call: a process reads records of newer versions and itself writes the newest version, with
    defaults for the fields that it does not know. Register a new version of a part together with the Example that
    nests it, before a process starts.
    Raises ComponentUnreachable if the registry does not answer or refuses a schema, RightMissing, or SettingError if
    `url` is not an http(s) address.
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
    """Every version of a subject, with the registry's ids; a schema that does not parse is not ours."""
    with registry.asking(f"read the versions of {subject}"):
        for version in registry.client.get_versions(subject):
            found = registry.client.get_version(subject, version)
            yield schema_entry(found.schema_id or 0, subject, version, json.loads(found.schema.schema_str or ""))
