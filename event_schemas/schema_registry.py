"""Schema ids from a Confluent Schema Registry, when one is configured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from event_schemas.errors import ComponentUnreachable
from event_schemas.registry import Registry, SchemaEntry, schema_entry

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import SchemaRegistryClient


def load_registry(url: str | None) -> Registry:
    """The registry every stage uses: the bundled one, or with `url` the ids a Schema Registry gives.

    With `url` the bundled schemas are registered under their subjects (`trimtab.Request` and so on; a no-op when
    already there), so that ids are the registry's own. Versions that others registered there count too, up to the time
    of the call: a process reads what a newer one writes, and writes the newest version itself, with the defaults of
    fields it does not know. A version of a part and the Example that nests it belong together: register both before a
    process starts.
    Raises ComponentUnreachable when the registry does not answer or refuses a schema.
    """
    bundled = Registry.bundled()
    return bundled if url is None else Registry(_registered(url, bundled))


def _registered(url: str, bundled: Registry) -> Iterator[SchemaEntry]:
    from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

    client = SchemaRegistryClient({"url": url, "timeout": 5, "max.retries": 1})
    for entry in bundled.entries():
        try:
            client.register_schema(entry.subject, Schema(json.dumps(entry.schema), "AVRO"))
        except Exception as fault:  # httpx, registry and JSON errors alike: the registry cannot be used
            raise ComponentUnreachable(
                f"Schema Registry at {url} did not register {entry.subject} v{entry.version}: {fault}",
                mend="start it or mend TRIMTAB_SCHEMA_REGISTRY_URL; unset it to use the bundled ids",
            ) from fault
    for subject in sorted({entry.subject for entry in bundled.entries()}):
        yield from _versions(client, url, subject)


def _versions(client: SchemaRegistryClient, url: str, subject: str) -> Iterator[SchemaEntry]:
    """Every version of a subject, numbered as the registry does."""
    try:
        for version in client.get_versions(subject):
            found = client.get_version(subject, version)
            yield schema_entry(found.schema_id or 0, subject, version, json.loads(found.schema.schema_str or ""))
    except Exception as fault:  # as above; a schema that does not parse is none of ours
        raise ComponentUnreachable(
            f"Schema Registry at {url} does not tell the versions of {subject}: {fault}",
            mend="start it or mend TRIMTAB_SCHEMA_REGISTRY_URL; keep the subject to Trimtab's own schemas",
        ) from fault
