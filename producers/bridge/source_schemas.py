"""Avro schemas of source records, from their writers' Schema Registry or from a file."""

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
    """A schema file that cannot be read or is not an Avro schema."""


class RegistrySchemas:
    """Schemas of a Confluent Schema Registry, each fetched once."""

    def __init__(self, url: str, setting: str = SETTING) -> None:
        """`setting` names where the address was set. Raises SettingError for an invalid address."""
        self._registry = RegistryConnection(url, setting)
        self._url, self._client = self._registry.shown, self._registry.client
        self._known: dict[int, Any] = {}

    def schema(self, schema_id: int) -> Any:
        """The schema with this id, parsed by fastavro; an unknown id is looked up again the next time.

        Raises UnknownSchema when the registry has no such schema (retrying now does not help), and ComponentUnreachable
        or RightMissing when the registry cannot be asked now.
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
                    fix="bridge only topics that hold Avro or JSON",
                )
            named: dict[str, Any] = {}
            self._parse_references(registered, named)
            return _parse(json.loads(registered.schema_str or ""), named)
        except TrimtabError:
            raise
        except (SchemaParseException, ValueError) as fault:
            raise UnknownSchema(
                f"schema id {schema_id} of {self._url} is not an Avro schema: {fault}", fix="fix it in the registry"
            ) from fault
        except Exception as fault:  # httpx and registry errors alike; only a 404 means that there is no such schema
            raise self._unanswered(schema_id, fault) from fault

    def _parse_references(self, registered: Any, named: dict[str, Any]) -> None:
        """Parses the schemas that this one refers to: they are registered separately, and fastavro needs them first."""
        for reference in registered.references or ():
            part = self._client.get_version(reference.subject, reference.version).schema
            self._parse_references(part, named)
            _parse(json.loads(part.schema_str or ""), named)

    def _unanswered(self, schema_id: int, fault: Exception) -> TrimtabError:
        if getattr(fault, "http_status_code", None) == NOT_FOUND:
            return UnknownSchema(
                f"schema id {schema_id} is not registered at {self._url}",
                fix="set bridge.schema_registry to the registry that the source's writers use",
            )
        return self._registry.explained(f"read schema id {schema_id}", fault)


def read_schema_file(file: Path) -> Any:
    """The schema in an `.avsc` file, parsed by fastavro; raises SourceSchemaError."""
    try:
        return _parse(json.loads(file.read_text(encoding="utf-8")), {})
    except OSError as fault:
        raise SourceSchemaError(
            f"{file}: cannot be read: {fault.strerror}",
            fix="correct bridge.schema_file, a path relative to trimtab.toml",
        ) from fault
    except (SchemaParseException, ValueError, KeyError, TypeError) as fault:
        raise SourceSchemaError(
            f"{file}: not an Avro schema: {fault}", fix="give the .avsc file that the source is written with"
        ) from fault


def _parse(schema: Any, named: dict[str, Any]) -> Any:
    return parse_schema(_texts_as_written(schema), named_schemas=named)


def _texts_as_written(schema: Any) -> Any:
    """The schema without `uuid` types: fastavro reads those in lower case, so the ids would no longer match."""
    if isinstance(schema, Mapping):
        kept = {name: _texts_as_written(part) for name, part in schema.items() if name != "default"}
        if "default" in schema:
            kept["default"] = schema["default"]
        if kept.get("logicalType") == "uuid":
            del kept["logicalType"]
        return kept
    return [_texts_as_written(part) for part in schema] if isinstance(schema, list) else schema
