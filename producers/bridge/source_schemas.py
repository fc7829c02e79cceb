"""Avro schemas of records that others wrote: from their Schema Registry, or from a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastavro import parse_schema
from fastavro.schema import SchemaParseException

from event_schemas.errors import TrimtabError, UnknownSchema
from event_schemas.registry_client import RegistryConnection

NOT_FOUND = 404
SETTING = "bridge.schema_registry"


class SourceSchemaError(TrimtabError):
    """A schema file that cannot be read or is no Avro schema."""


class RegistrySchemas:
    """Schemas of a Confluent Schema Registry, each asked for once."""

    def __init__(self, url: str, setting: str = SETTING) -> None:
        """`setting` gave the address. Raises SettingError for one that is none."""
        self._registry = RegistryConnection(url, setting)
        self._url, self._client = self._registry.shown, self._registry.client
        self._known: dict[int, Any] = {}

    def schema(self, schema_id: int) -> Any:
        """The schema of this id, parsed by fastavro; an unknown one is asked for again the next time.

        Raises UnknownSchema when there is none (trying again now is of no use), ComponentUnreachable or RightMissing
        when that cannot be found out now.
        """
        found = self._known.get(schema_id)
        if found is None:
            found = self._known[schema_id] = self._parsed(schema_id)
        return found

    def _parsed(self, schema_id: int) -> Any:
        try:
            registered = self._client.get_schema(schema_id)
            if registered.schema_type not in (None, "AVRO"):
                raise UnknownSchema(
                    f"schema id {schema_id} of {self._url} is {registered.schema_type}, not AVRO",
                    fix="bridge topics that hold Avro or JSON",
                )
            named: dict[str, Any] = {}
            self._parse_references(registered, named)
            return _parse(json.loads(registered.schema_str or ""), named)
        except TrimtabError:
            raise
        except (SchemaParseException, ValueError) as fault:
            raise UnknownSchema(
                f"schema id {schema_id} of {self._url} is no Avro schema: {fault}", fix="fix it in the registry"
            ) from fault
        except Exception as fault:  # httpx and registry errors alike; only a clear no is an answer
            raise self._unanswered(schema_id, fault) from fault

    def _parse_references(self, registered: Any, named: dict[str, Any]) -> None:
        """Schemas that others are built from are registered by themselves; fastavro wants them parsed first."""
        for reference in registered.references or ():
            part = self._client.get_version(reference.subject, reference.version).schema
            self._parse_references(part, named)
            _parse(json.loads(part.schema_str or ""), named)

    def _unanswered(self, schema_id: int, fault: Exception) -> TrimtabError:
        if getattr(fault, "http_status_code", None) == NOT_FOUND:
            return UnknownSchema(
                f"schema id {schema_id} is not registered at {self._url}",
                fix="name the registry of the source's writers in bridge.schema_registry",
            )
        return self._registry.explained(f"read schema id {schema_id}", fault)


def read_schema_file(file: Path) -> Any:
    """The schema in an `.avsc` file, parsed by fastavro; raises SourceSchemaError."""
    try:
        return _parse(json.loads(file.read_text(encoding="utf-8")), {})
    except OSError as fault:
        raise SourceSchemaError(
            f"{file}: cannot be read: {fault.strerror}", fix="fix bridge.schema_file, a path beside trimtab.toml"
        ) from fault
    except (SchemaParseException, ValueError, KeyError, TypeError) as fault:
        raise SourceSchemaError(
            f"{file}: is no Avro schema: {fault}", fix="give the .avsc that the source is written with"
        ) from fault


def _parse(schema: Any, named: dict[str, Any]) -> Any:
    return parse_schema(_texts_as_written(schema), named_schemas=named)


def _texts_as_written(schema: Any) -> Any:
    """The schema without `uuid`: its text would be read in lower case, and no longer be the id that was served."""
    if isinstance(schema, Mapping):
        kept = {name: _texts_as_written(part) for name, part in schema.items() if name != "default"}
        if "default" in schema:
            kept["default"] = schema["default"]
        if kept.get("logicalType") == "uuid":
            del kept["logicalType"]
        return kept
    return [_texts_as_written(part) for part in schema] if isinstance(schema, list) else schema
