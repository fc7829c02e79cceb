"""Avro schemas of source records, from their writers' Schema Registry or from a file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fastavro import parse_schema
from fastavro.schema import SchemaParseException

from event_schemas.avro_fault import avro_fault
from event_schemas.errors import TrimtabError, UnknownSchema
from event_schemas.registry_client import NOT_FOUND, RegistryConnection

SETTING = "bridge.schema_registry"
UNKNOWN_SECONDS = 10.0
"""How long an id counts as unknown after the registry said so: a flood of such records must not be one of requests."""
MOST_UNKNOWN = 1000
"""Unknown ids that are remembered; beyond that, all are forgotten and looked up again."""


class SourceSchemaError(TrimtabError):
    """A schema file that cannot be read or is not an Avro schema."""


class RegistrySchemas:
    """Schemas of a Confluent Schema Registry, each fetched once."""

    def __init__(self, url: str, setting: str = SETTING, clock: Callable[[], float] = time.monotonic) -> None:
        """`setting` names where the address was set; `clock` tells seconds. Raises SettingError for a bad address."""
        self._registry = RegistryConnection(url, setting)
        self._url, self._client = self._registry.shown, self._registry.client
        self._known: dict[int, Any] = {}
        self._clock = clock
        self._unknown: dict[int, tuple[float, UnknownSchema]] = {}

    def schema(self, schema_id: int) -> Any:
        """The schema with this id, parsed by fastavro; an unknown id is looked up again after UNKNOWN_SECONDS.

        Raises UnknownSchema when the registry has no such schema (retrying now does not help), and ComponentUnreachable
        or RightMissing when the registry cannot be asked now.
        """
        found = self._known.get(schema_id)
        if found is None:
            self._require_not_just_unknown(schema_id)
            try:
                found = self._known[schema_id] = self._parsed(schema_id)
            except UnknownSchema as unknown:
                if len(self._unknown) >= MOST_UNKNOWN:
                    self._unknown.clear()
                self._unknown[schema_id] = self._clock(), unknown
                raise
        return found

    def _require_not_just_unknown(self, schema_id: int) -> None:
        asked, unknown = self._unknown.get(schema_id, (0.0, None))
        if unknown is not None and self._clock() - asked < UNKNOWN_SECONDS:
            raise UnknownSchema(unknown.what, fix=unknown.fix)

    def _parsed(self, schema_id: int) -> Any:
        registered = self._asked(schema_id, lambda: self._client.get_schema(schema_id))
        try:
            if registered.schema_type not in (None, "AVRO"):
                raise UnknownSchema(
                    f"schema id {schema_id} of {self._url} is {registered.schema_type}, not AVRO",
                    fix="bridge only topics that hold Avro or JSON",
                )
            named: dict[str, Any] = {}
            self._parse_references(schema_id, registered, named)
            return _parse(json.loads(registered.schema_str or ""), named)
        except TrimtabError:
            raise
        except (SchemaParseException, AttributeError, LookupError, TypeError, ValueError, RecursionError) as fault:
            raise UnknownSchema(
                f"schema id {schema_id} of {self._url} is {avro_fault(fault)}", fix="fix it in the registry"
            ) from fault

    def _asked(self, schema_id: int, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except Exception as fault:  # httpx and registry errors alike; only a 404 means that there is no such schema
            raise self._unanswered(schema_id, fault) from fault

    def _parse_references(self, schema_id: int, registered: Any, named: dict[str, Any]) -> None:
        """Parses the schemas that this one refers to: they are registered separately, and fastavro needs them first."""
        for reference in registered.references or ():
            ask = partial(self._client.get_version, reference.subject, reference.version)
            part = self._asked(schema_id, ask).schema
            self._parse_references(schema_id, part, named)
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
        return _parse(json.loads(file.read_text(encoding="utf-8-sig")), {})
    except OSError as fault:
        raise SourceSchemaError(
            f"{file}: cannot be read: {fault.strerror}",
            fix="correct bridge.schema_file, a path relative to trimtab.toml",
        ) from fault
    except (SchemaParseException, ValueError, KeyError, TypeError) as fault:
        raise SourceSchemaError(
            f"{file}: {avro_fault(fault)}", fix="give the .avsc file that the source is written with"
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
