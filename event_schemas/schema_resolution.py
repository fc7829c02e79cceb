"""Whether data of one Avro schema can be read with another, by the rules that decoding follows.

A writer's schema counts as readable only if every datum of it is. These are Avro's rules, with one more: a logical type
may not change into another, because Avro would read microseconds as milliseconds without an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastavro import parse_schema

PROMOTIONS: Mapping[str, frozenset[str]] = {
    "int": frozenset({"long", "float", "double"}),
    "long": frozenset({"float", "double"}),
    "float": frozenset({"double"}),
    "string": frozenset({"bytes"}),
}
"""What a reader may declare, besides the same type, for a primitive type that was written.

Avro also reads bytes as a string, but not all bytes are one.
"""


def misfits(reader: Any, writer: Any) -> list[str]:
    """Why data written with `writer` cannot be read with `reader`, place by place; empty if all of it can.

    Both are schemas as in an `.avsc` file. Raises what fastavro raises for a schema that is not an Avro schema.
    """
    read_names: dict[str, Any] = {}
    written_names: dict[str, Any] = {}
    comparison = _Comparison(read_names, written_names)
    wanted = parse_schema(reader, named_schemas=read_names)
    return list(comparison.faults(wanted, parse_schema(writer, named_schemas=written_names), ""))


class _Comparison:
    """Compares types of a reader with those of a writer; names are resolved with the tables of each."""

    def __init__(self, read_names: Mapping[str, Any], written_names: Mapping[str, Any]) -> None:
        self._read_names = read_names
        self._written_names = written_names

    def faults(self, reader: Any, writer: Any, place: str) -> Iterator[str]:
        """What does not fit at `place`, a path of field names, and below it."""
        reader, writer = _resolved(reader, self._read_names), _resolved(writer, self._written_names)
        if isinstance(writer, list):
            for branch in writer:
                yield from self.faults(reader, branch, place)
        elif isinstance(reader, list):
            yield from self._of_the_best_branch(reader, writer, place)
        elif not _same_meaning(reader, writer):
            yield _at(place, f"{_spelled(writer)} instead of {_spelled(reader)}")
        elif _kind(reader) == _kind(writer):
            yield from self._below(reader, writer, place)

    def _of_the_best_branch(self, reader: list[Any], writer: Any, place: str) -> Iterator[str]:
        """A branch that fits has no faults; of those that do not, the one of the same type explains most."""
        found = [(branch, list(self.faults(branch, writer, place))) for branch in reader]
        if all(faults for _, faults in found):
            kinds = [_kind(_resolved(branch, self._read_names)) for branch, _ in found]
            if _kind(writer) in kinds:
                yield from found[kinds.index(_kind(writer))][1]
            else:
                yield _at(place, f"{_spelled(writer)} instead of {'/'.join(kinds)}")

    def _below(self, reader: Any, writer: Any, place: str) -> Iterator[str]:
        match _kind(reader):
            case "record":
                yield from self._of_records(reader, writer, place)
            case "enum":
                yield from _of_names(reader, writer, place)
                strange = [symbol for symbol in writer["symbols"] if symbol not in reader["symbols"]]
                if strange and "default" not in reader:
                    yield _at(place, f"unknown symbols {', '.join(strange)}")
            case "fixed":
                yield from _of_names(reader, writer, place)
                if reader["size"] != writer["size"]:
                    yield _at(place, f"{writer['size']} bytes instead of {reader['size']}")
            case "array":
                yield from self.faults(reader["items"], writer["items"], f"{place}[]")
            case "map":
                yield from self.faults(reader["values"], writer["values"], f"{place}{{}}")

    def _of_records(self, reader: Any, writer: Any, place: str) -> Iterator[str]:
        yield from _of_names(reader, writer, place)
        written = {field["name"]: field for field in writer["fields"]}
        for field in reader["fields"]:
            inside = f"{place}.{field['name']}" if place else field["name"]
            if field["name"] in written:
                yield from self.faults(field["type"], written[field["name"]]["type"], inside)
            elif "default" not in field:
                yield _at(inside, "is missing")


def _same_meaning(reader: Any, writer: Any) -> bool:
    """Whether the types, and the logical types if both have one, are the same or as good as the same."""
    same_kind = _kind(reader) == _kind(writer) or _kind(reader) in PROMOTIONS.get(_kind(writer), ())
    return same_kind and (_logical(reader) == _logical(writer) or None in (_logical(reader), _logical(writer)))


def _of_names(reader: Any, writer: Any, place: str) -> Iterator[str]:
    """Named types are the same if their names are, without the namespace."""
    names = [schema["name"].rpartition(".")[2] for schema in (reader, writer)]
    if names[0] != names[1]:
        yield _at(place, f"{_kind(writer)} {names[1]} instead of {names[0]}")


def _resolved(schema: Any, names: Mapping[str, Any]) -> Any:
    return names.get(schema, schema) if isinstance(schema, str) else schema


def _kind(schema: Any) -> str:
    kind = schema["type"] if isinstance(schema, Mapping) else schema
    return "record" if kind == "error" else str(kind)


def _logical(schema: Any) -> str | None:
    return schema.get("logicalType") if isinstance(schema, Mapping) else None


def _spelled(schema: Any) -> str:
    return _logical(schema) or _kind(schema)


def _at(place: str, fault: str) -> str:
    return f"{place}: {fault}" if place else fault
