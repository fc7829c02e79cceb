"""Schema ids from a Confluent Schema Registry, when one is configured."""

from __future__ import annotations

import json
from collections.abc import Iterator

from event_schemas.errors import ComponentUnreachable
from event_schemas.registry import Registry, SchemaEntry, schema_entry


def load_registry(url: str | None) -> Registry:
    """The registry every stage uses: the bundled one, or with `url` the ids a Schema Registry gives.

    With `url` the bundled schemas are registered under their subjects (record names; a no-op when already there), so
    that ids are the registry's own. Raises ComponentUnreachable when it does not answer or refuses a schema.
    """
    bundled = Registry.bundled()
    return bundled if url is None else Registry(_registered(url, bundled))


def _registered(url: str, bundled: Registry) -> Iterator[SchemaEntry]:
    from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

    client = SchemaRegistryClient({"url": url, "timeout": 5, "max.retries": 1})
    for entry in bundled.entries():
        try:
            schema_id = client.register_schema(entry.subject, Schema(json.dumps(entry.schema), "AVRO"))
        except Exception as fault:  # httpx, registry and JSON errors alike: the registry cannot be used
            raise ComponentUnreachable(
                f"Schema Registry at {url} did not register {entry.subject} v{entry.version}: {fault}",
                mend="start it or mend TRIMTAB_SCHEMA_REGISTRY_URL; unset it to use the bundled ids",
            ) from fault
        yield schema_entry(schema_id, entry.subject, entry.version, entry.schema)
