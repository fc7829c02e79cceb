"""The columns of stored examples: checks whether a file without a hash still has the columns that were written.

In a file that can be read, a broken footer may still rename a column or change its type, and broken pages lose values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl

from event_schemas.columnar import columnar_schema, empty_frame
from event_schemas.records import EXAMPLE
from event_schemas.registry import Registry, SchemaEntry


@dataclass(frozen=True, slots=True)
class _Column:
    """One column in all versions of the schema: its stored types, and whether the column or a value may be missing."""

    types: frozenset[pl.DataType]
    optional: bool
    nullable: bool


def portable(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with text instead of categories, because category codes are only valid within one file."""
    return frame.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))


def misshapen(frame: pl.DataFrame) -> str:
    """Why `frame` cannot be what was written to a file of examples; empty if nothing is wrong.

    Unknown columns are accepted: a newer schema version may have added them.
    """
    for name, column in _columns().items():
        if name not in frame.columns:
            if not column.optional:
                return f"it has no column {name}"
        elif frame.schema[name] not in column.types:
            return f"its column {name} has type {frame.schema[name]}"
        elif not column.nullable and frame[name].null_count():
            return f"its column {name} lacks values"
    return ""


@cache
def _columns() -> Mapping[str, _Column]:
    """The columns by name; in a file with rows of several versions, a column is null in rows of versions without it."""
    versions = [_columns_of(entry) for entry in Registry.bundled().entries() if entry.name == EXAMPLE]
    columns = {}
    for name in {name: None for version in versions for name in version}:
        found = [version[name] for version in versions if name in version]
        optional = len(found) < len(versions)
        nullable = optional or any(nullable for _, nullable in found)
        columns[name] = _Column(frozenset(kind for kind, _ in found), optional, nullable)
    return columns


def _columns_of(entry: SchemaEntry) -> dict[str, tuple[pl.DataType, bool]]:
    """For each column name the stored type, and whether it may be null."""
    types = portable(empty_frame(entry)).schema
    return {
        field["name"]: (types[field["name"]], _nullable(field["type"])) for field in columnar_schema(entry)["fields"]
    }


def _nullable(kind: Any) -> bool:
    return isinstance(kind, list) and "null" in kind
