"""Schema ids and their Avro schemas, from the checked-in `registry.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any

from fastavro import parse_schema

from event_schemas.errors import UnknownSchema


@dataclass(frozen=True)
class SchemaEntry:
    """One registered schema version; `version` is Trimtab's own, or the registry's if someone else registered it.

    `schema` is the schema as written, with logical types; `physical` is the same schema without them, parsed by
    fastavro, so that times stay integers.
    """

    schema_id: int
    subject: str
    version: int
    schema: Mapping[str, Any]
    physical: Any

    @property
    def name(self) -> str:
        """Record name without its namespace, such as `Request`."""
        return str(self.schema["name"]).rsplit(".", 1)[-1]


class Registry:
    """An immutable table of schema entries by id.

    `shipped` are the versions of this release, the only ones that it writes; `others` are versions that someone else
    registered and this release can read. `refused` says by id why it cannot read a version.
    """

    def __init__(
        self,
        shipped: Iterable[SchemaEntry],
        others: Iterable[SchemaEntry] = (),
        refused: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        own = {entry.schema_id: entry for entry in shipped}
        self._shipped = tuple(own.values())
        self._by_id = {entry.schema_id: entry for entry in others} | own
        self._refused = refused
        self._newest: dict[str, SchemaEntry] = {}
        for entry in own.values():
            known = self._newest.get(entry.name)
            if known is None or entry.version > known.version:
                self._newest[entry.name] = entry

    @classmethod
    def bundled(cls) -> Registry:
        """The registry that ships with Trimtab: `registry.json` (id → subject, version, file) and its `.avsc` files."""
        root = resources.files("event_schemas")
        table = json.loads(root.joinpath("registry.json").read_text(encoding="utf-8"))
        return cls(
            schema_entry(
                int(schema_id),
                row["subject"],
                row["version"],
                json.loads(root.joinpath(row["file"]).read_text(encoding="utf-8")),
            )
            for schema_id, row in table.items()
        )

    def entry(self, schema_id: int) -> SchemaEntry:
        """The entry of `schema_id`; raises UnknownSchema, also for a version that this release cannot read."""
        found = self._by_id.get(schema_id)
        if found is None and schema_id in self._refused:
            raise UnknownSchema(
                f"schema id {schema_id} cannot be read: {self._refused[schema_id]}",
                fix="write the version that Trimtab ships; if a newer Trimtab ships this one, upgrade this process",
            )
        if found is None:
            raise UnknownSchema(
                f"schema id {schema_id} is not registered (known: {sorted(self._by_id)})",
                fix="set TRIMTAB_SCHEMA_REGISTRY_URL as the writer does; restart this process if the version is newer",
            )
        return found

    def newest(self, name: str) -> SchemaEntry:
        """The highest version of record `name` that this release ships; raises UnknownSchema."""
        found = self._newest.get(name)
        if found is None:
            raise UnknownSchema(
                f"record {name!r} is not registered (known: {sorted(self._newest)})",
                fix="register the record's schema first",
            )
        return found

    def versions(self, name: str) -> tuple[SchemaEntry, ...]:
        """The versions of record `name` that this release ships, oldest first."""
        return tuple(sorted((e for e in self._shipped if e.name == name), key=lambda entry: entry.version))

    def newest_by_subject(self) -> dict[str, SchemaEntry]:
        """The highest version that this release ships of the record under each subject."""
        return {entry.subject: entry for entry in self._newest.values()}

    def schema_id(self, name: str) -> int:
        """Id of the highest version of record `name` that this release ships; raises UnknownSchema."""
        return self.newest(name).schema_id

    def entries(self) -> tuple[SchemaEntry, ...]:
        """All entries that can be read, by id."""
        return tuple(self._by_id[schema_id] for schema_id in sorted(self._by_id))


def schema_entry(schema_id: int, subject: str, version: int, schema: Mapping[str, Any]) -> SchemaEntry:
    """An entry with its physical schema parsed."""
    return SchemaEntry(schema_id, subject, version, schema, parse_schema(without_logical_types(schema)))


def without_logical_types(schema: Any) -> Any:
    """A copy of an Avro schema without any `logicalType` or `doc`."""
    if isinstance(schema, Mapping):
        slim = {k: without_logical_types(v) for k, v in schema.items() if k not in ("logicalType", "doc", "default")}
        return slim | ({"default": schema["default"]} if "default" in schema else {})
    if isinstance(schema, list):
        return [without_logical_types(part) for part in schema]
    return schema
