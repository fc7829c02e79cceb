"""Generated versions of a schema as someone else might register it: each differs from ours in one place."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

Change = Callable[[Any], object]
"""Changes a part of a schema, in place."""
NARROWER = {"long": "int", "double": "float", "float": "int"}
BROADER = {"int": "long", "float": "double", "double": "string", "long": "double", "string": "long", "boolean": "int"}


class Mutation(NamedTuple):
    """A changed schema, what was changed, and whether our reader still reads all that it writes."""

    name: str
    schema: dict[str, Any]
    fits: bool


def mutations(schema: Any) -> Iterator[Mutation]:
    """Every change at every place of a record schema and the records in it."""
    for path in record_paths(schema):
        yield from _of_record(schema, path)
        for index, field in enumerate(_at(schema, path)["fields"]):
            yield from _of_field(schema, (*path, "fields", index), field)
    yield Mutation("another namespace", copy.deepcopy(dict(schema)) | {"namespace": "shop"}, True)
    yield Mutation("another name", copy.deepcopy(dict(schema)) | {"name": "Surprise"}, False)


def record_paths(schema: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all records in a schema, as keys and indices."""
    if isinstance(schema, dict):
        if schema.get("type") == "record":
            yield path
        for key in ("type", "items"):
            if isinstance(schema.get(key), dict | list):
                yield from record_paths(schema[key], (*path, key))
        for index, field in enumerate(schema.get("fields", ())):
            yield from record_paths(field["type"], (*path, "fields", index, "type"))
    elif isinstance(schema, list):
        for index, branch in enumerate(schema):
            yield from record_paths(branch, (*path, index))


def _of_record(schema: Any, path: tuple[Any, ...]) -> Iterator[Mutation]:
    def changed(change: Change) -> dict[str, Any]:
        return _changed(schema, path, change)

    added = {"name": "surface", "type": ["null", "string"], "default": None}
    yield Mutation(f"{path}: a field more", changed(lambda record: record["fields"].append(added)), True)
    required = {"name": "surface", "type": "string"}
    yield Mutation(f"{path}: a required field more", changed(lambda record: record["fields"].insert(0, required)), True)
    yield Mutation(f"{path}: other order", changed(lambda record: record["fields"].reverse()), True)


def _of_field(schema: Any, path: tuple[Any, ...], field: dict[str, Any]) -> Iterator[Mutation]:
    name, kind, optional = field["name"], field["type"], "default" in field

    def changed(to: Any) -> dict[str, Any]:
        return _changed(schema, path[:-1], lambda fields: _replace(fields, path[-1], {"name": name, "type": to}))

    gone = _changed(schema, path[:-1], lambda fields: fields.pop(path[-1]))
    yield Mutation(f"{name} removed", gone, optional)
    yield Mutation(f"{name} renamed", _changed(schema, path, lambda field: field.update(name="renamed")), optional)
    if isinstance(kind, list):
        yield Mutation(f"{name} never null", changed(kind[1]), True)
        yield Mutation(f"{name} in other order", changed(kind[::-1]), True)
        yield Mutation(f"{name} also boolean", changed([*kind, "boolean"]), False)
    else:
        yield Mutation(f"{name} nullable", changed(["null", kind]), False)
        yield Mutation(f"{name} as its only branch", changed([kind]), True)
    plain = kind["type"] if isinstance(kind, dict) else kind
    if isinstance(plain, str) and plain in BROADER:
        yield Mutation(f"{name} broader", changed(BROADER[plain]), False)
    if isinstance(plain, str) and plain in NARROWER:
        yield Mutation(f"{name} narrower", changed(NARROWER[plain]), True)
    if plain == "string":
        yield Mutation(f"{name} bytes", changed("bytes"), False)
    if isinstance(kind, dict) and "logicalType" in kind:
        yield Mutation(f"{name} without logical type", changed(plain), True)
        yield Mutation(f"{name} in microseconds", changed({**kind, "logicalType": "timestamp-micros"}), False)
    if plain == "array":
        yield Mutation(f"{name} one item", changed(kind["items"]), False)
    if plain == "enum":
        symbols = kind["symbols"]
        yield Mutation(f"{name} reordered", changed({**kind, "symbols": symbols[::-1]}), True)
        yield Mutation(f"{name} fewer symbols", changed({**kind, "symbols": symbols[1:]}), True)
        yield Mutation(f"{name} more symbols", changed({**kind, "symbols": ["SURPRISE", *symbols]}), False)
        yield Mutation(f"{name} as text", changed("string"), False)


def _replace(fields: list[Any], index: int, field: dict[str, Any]) -> None:
    fields[index] = field


def _at(schema: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        schema = schema[step]
    return schema


def _changed(schema: Any, path: tuple[Any, ...], change: Change) -> dict[str, Any]:
    copied: dict[str, Any] = copy.deepcopy(dict(schema))
    change(_at(copied, path))
    return copied
