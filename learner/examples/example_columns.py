"""The columns of examples in all schema versions: what a frame of an older version lacks gets its default.

New fields of an Example have constant defaults. So rows that were written in an older version, in the log or in a
stored file, are read with their own columns and get the newer ones with the default in every row. In a file that can be
read, a broken footer may still rename a column or change its type, and broken pages lose values: `misshapen` tells such
a file from one that is only older.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl

from event_schemas.columnar import columnar_schema, default_row, empty_frame
from event_schemas.records import EXAMPLE
from event_schemas.registry import Registry, SchemaEntry


@dataclass(frozen=True, slots=True)
class _Column:
    """One column: its stored type, whether a value may be missing, and the place of the first version that has it."""

    kind: pl.DataType
    nullable: bool
    since: int


class ExampleColumns:
    """The columns of some versions of Example, ordered from the oldest to the newest."""

    def __init__(self, versions: Sequence[SchemaEntry]) -> None:
        self._versions = [_columns_of(entry) for entry in versions]
        self._columns = {
            name: _Column(kind, nullable, next(place for place, each in enumerate(self._versions) if name in each))
            for name, (kind, nullable) in self._versions[-1].items()
        }
        self._added = [name for name, column in self._columns.items() if column.since]
        self._defaults = portable(default_row(versions[-1], self._added))

    @property
    def added(self) -> tuple[str, ...]:
        """The columns that the oldest version does not have."""
        return tuple(self._added)

    def fit(self, entry: SchemaEntry) -> bool:
        """Whether `completed` makes rows of the newest version out of rows of this one."""
        kinds = {name: kind for name, (kind, _) in _columns_of(entry).items()}
        same = all(name in self._columns and self._columns[name].kind == kind for name, kind in kinds.items())
        return same and all(name in kinds or name in self._added for name in self._columns)

    def completed(self, frame: pl.DataFrame, wanted: Sequence[str] | None = None) -> pl.DataFrame:
        """The rows with all columns of the newest version, in its order, and then the columns that no version has.

        With `wanted`, only these columns. A column that the oldest version does not have is the field's default where
        the frame lacks it or has null in place of a value, as a file has in which an older release put rows of
        different versions together. Nothing else is changed or added.
        """
        filled = frame.with_columns(
            self._filled(frame, name) for name in self._added if wanted is None or name in wanted
        )
        if wanted is None:
            known = [name for name in self._columns if name in filled.columns]
            wanted = [*known, *(name for name in frame.columns if name not in self._columns)]
        return filled.select(wanted)

    def misshapen(self, frame: pl.DataFrame) -> str:
        """Why `frame` cannot be what was written to a file of examples; empty if nothing is wrong.

        The columns of a version are there together. Unknown columns are accepted: a newer version may have added them.
        """
        newest = max((self._columns[name].since for name in frame.columns if name in self._columns), default=0)
        for name in self._versions[newest]:
            column = self._columns[name]
            if name not in frame.columns:
                return f"it has no column {name}"
            if frame.schema[name] != column.kind:
                return f"its column {name} has type {frame.schema[name]}"
            if not column.nullable and not column.since and frame[name].null_count():
                return f"its column {name} lacks values"
        return ""

    def _filled(self, frame: pl.DataFrame, name: str) -> pl.Series:
        default = self._defaults[name].new_from_index(0, frame.height)
        if name not in frame.columns:
            return default
        column = frame[name]
        whole = self._columns[name].nullable or column.dtype != default.dtype or not column.null_count()
        return column if whole else column.zip_with(column.is_not_null(), default)


@cache
def shipped_columns() -> ExampleColumns:
    """The columns of the versions that this release ships, which all stored files are read with."""
    return ExampleColumns(Registry.bundled().versions(EXAMPLE))


def portable(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with text instead of categories, because category codes are only valid within one file."""
    return frame.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))


def _columns_of(entry: SchemaEntry) -> Mapping[str, tuple[pl.DataType, bool]]:
    """For each column name the stored type, and whether it may be null."""
    types = portable(empty_frame(entry)).schema
    return {
        field["name"]: (types[field["name"]], _nullable(field["type"])) for field in columnar_schema(entry)["fields"]
    }


def _nullable(kind: Any) -> bool:
    return isinstance(kind, list) and "null" in kind
