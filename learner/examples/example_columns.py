"""The columns of stored examples: whether a file that nobody has hashed still holds what was written.

A broken footer may rename a column or change its type, and broken pages may lose values, in a file that reads well.
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
    """One column over all versions of the schema: its stored types, and whether it, or a value of it, may be absent."""

    types: frozenset[pl.DataType]
    optional: bool
    nullable: bool


def portable(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with text instead of categories, whose codes mean nothing in another file."""
    return frame.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))


def misshapen(frame: pl.DataFrame) -> str:
    """What shows that `frame` is not what was written to a file of examples, else an empty text.

    Columns that no schema version knows are let pass: a newer one may have added them.
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
    """By name; in a file with rows of several versions, a column that one of them lacks is null in its rows."""
    versions = [_columns_of(entry) for entry in Registry.bundled().entries() if entry.name == EXAMPLE]
    columns = {}
    for name in {name: None for version in versions for name in version}:
        found = [version[name] for version in versions if name in version]
        optional = len(found) < len(versions)
        nullable = optional or any(nullable for _, nullable in found)
        columns[name] = _Column(frozenset(kind for kind, _ in found), optional, nullable)
    return columns


def _columns_of(entry: SchemaEntry) -> dict[str, tuple[pl.DataType, bool]]:
    """By name the stored type, and whether it may be null."""
    types = portable(empty_frame(entry)).schema
    return {
        field["name"]: (types[field["name"]], _nullable(field["type"])) for field in columnar_schema(entry)["fields"]
    }


def _nullable(kind: Any) -> bool:
    return isinstance(kind, list) and "null" in kind
