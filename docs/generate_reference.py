"""Writes `docs/reference/` and the index of decisions: what the code itself says of files, settings and commands.

Run as `make docs`; a test fails when a page is stale.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_origin

import typer
from prometheus_client import CollectorRegistry
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from docs.decision_page import decisions
from docs.error_page import errors
from docs.package_page import packages
from event_schemas.duration import format_duration
from event_schemas.experiment import Experiment
from event_schemas.experiment_sections import is_duration
from event_schemas.registry import Registry, SchemaEntry
from event_schemas.topics import DEFAULT_PREFIX, TOPICS, topic_name
from monitoring import metrics
from trimtab.cli import build_app
from trimtab.settings import Settings

DOCS = Path(__file__).parent
NOTICE = "<!-- Written by `make docs`; edit what it is made from instead. -->"


def pages() -> dict[str, str]:
    """Every generated page: path under docs/ → text."""
    return {
        "reference/experiment.md": _page("The experiment file `trimtab.toml`", _experiment()),
        "reference/settings.md": _page("Settings", _settings()),
        "reference/records.md": _page("Topics and records", _records()),
        "reference/metrics.md": _page("Metrics", _metrics()),
        "reference/commands.md": _page("Commands", _commands()),
        "reference/packages.md": _page("Packages", packages()),
        "reference/errors.md": _page("Errors", errors()),
        "decisions/README.md": _page("Decisions", decisions()),
    }


def main() -> None:
    """Write all pages."""
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")


def _page(title: str, lines: Iterator[str]) -> str:
    return "\n".join([f"# {title}", "", NOTICE, "", *lines]) + "\n"


def _experiment() -> Iterator[str]:
    yield "Durations are text such as `30m`, `14d` or `1h30m`; numbers without a unit and unknown fields are errors."
    for name, field in Experiment.model_fields.items():
        model, many = _section_model(field)
        yield f"\n## `{'[[' if many else '['}{name}{']]' if many else ']'}`\n\n{field.description}\n"
        yield from _field_table(model, name)


def _section_model(field: FieldInfo) -> tuple[type[BaseModel], bool]:
    kinds = [field.annotation, *get_args(field.annotation)]
    model = next(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))
    return model, get_origin(field.annotation) is tuple


def _field_table(model: type[BaseModel], path: str) -> Iterator[str]:
    yield "| field | default | meaning |\n|---|---|---|"
    nested: list[tuple[str, type[BaseModel]]] = []
    for name, field in model.model_fields.items():
        choices = [
            f'`"{choice}"`'
            for kind in (field.annotation,)
            if get_origin(kind) is typing.Literal
            for choice in get_args(kind)
        ]
        allowed = f" One of {', '.join(choices)}." if choices else ""
        yield _row(f"`{name}`", "required" if field.is_required() else _default(field), f"{field.description}{allowed}")
        nested += [
            (f"[[{path}.{name}]]" if kind is not field.annotation else f"[{path}.{name}]", kind)
            for kind in (field.annotation, *get_args(field.annotation))
            if isinstance(kind, type) and issubclass(kind, BaseModel)
        ]
    for title, kind in nested:
        yield f"\n### `{title}`\n"
        yield from _field_table(kind, title.strip("[]"))


def _default(field: FieldInfo) -> str:
    """The default, as written in the experiment file."""
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "see below"
    if value is None:
        return "unset"
    if is_duration(field):
        value = format_duration(value)
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _row(*cells: str) -> str:
    """A table row; a `|` inside a cell would end it."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _settings() -> Iterator[str]:
    yield "Every process reads these environment variables; Trimtab reads no others.\n"
    yield "| variable | default | meaning |\n|---|---|---|"
    for name, field in Settings.model_fields.items():
        default = "unset" if field.default is None or field.default == "" else f"`{field.default}`"
        yield _row(f"`TRIMTAB_{name.upper()}`", default, str(field.description))


def _records() -> Iterator[str]:
    yield "| topic | key | records | written by | read by |\n|---|---|---|---|---|"
    for topic in TOPICS:
        cells = (
            topic_name(DEFAULT_PREFIX, topic),
            topic.key,
            *(", ".join(x) for x in (topic.records, topic.writers, topic.readers)),
        )
        yield _row(*cells)
    yield "\nValues are framed as `0x00`, big-endian int32 schema id, Avro datum."
    yield "[Conformance vectors](../../event_schemas/conformance/README.md) show the bytes of what clients write."
    yield "A process writes the newest version of a record that it ships, and reads every version;"
    yield "[upgrading](../guides/upgrading.md) says in which order. What an older version lacks is read as its default."
    for newest in Registry.bundled().newest_by_subject().values():
        yield from _record(Registry.bundled().versions(newest.name))


def _record(versions: Sequence[SchemaEntry]) -> Iterator[str]:
    """A record in its newest version, with what is new in a version marked; `versions` from the oldest on."""
    *_, newest = versions
    yield f"\n## {newest.name}\n\n{newest.schema['doc']}\n"
    ids = "; ".join(f"version {entry.version} has id {entry.schema_id}" for entry in reversed(versions))
    yield f"{ids[0].upper()}{ids[1:]}.\n"
    yield "| field | type | meaning |\n|---|---|---|"
    for field in newest.schema["fields"]:
        meaning = " ".join((field["doc"], *_since(field["name"], versions)))
        yield _row(f"`{field['name']}`", _type_name(field["type"]), meaning)


def _since(name: str, versions: Sequence[SchemaEntry]) -> Iterator[str]:
    """What a version after the first has added: the field, or fields of the record in it."""
    for older, newer in pairwise(versions):
        before, after = _field(older, name), _field(newer, name)
        if before is None and after is not None:
            yield f"Since version {newer.version}; `{json.dumps(after['default'])}` before."
        elif before is not None and after is not None and (added := _names(after["type"]) - _names(before["type"])):
            yield f"Since version {newer.version} with {', '.join(f'`{each}`' for each in sorted(added))}."


def _field(entry: SchemaEntry, name: str) -> dict[str, Any] | None:
    return next((field for field in entry.schema["fields"] if field["name"] == name), None)


def _names(schema: Any) -> set[str]:
    """The fields of a record; none of another type."""
    return {field["name"] for field in schema.get("fields", ())} if isinstance(schema, dict) else set()


def _type_name(schema: Any) -> str:
    if isinstance(schema, list):
        return " or ".join(_type_name(part) for part in schema)
    if not isinstance(schema, dict):
        return str(schema)
    if schema["type"] == "array":
        return f"array of {_type_name(schema['items'])}"
    if schema["type"] == "record":
        return f"{schema['name']} {{{', '.join(f['name'] + ' ' + _type_name(f['type']) for f in schema['fields'])}}}"
    if schema["type"] == "enum":
        return "enum " + "/".join(schema["symbols"])
    return str(schema.get("logicalType", schema["type"]))


def _metrics() -> Iterator[str]:
    groups = [
        value for value in vars(metrics).values() if isinstance(value, type) and value.__name__.endswith("Metrics")
    ]
    for group in groups:
        yield f"\n## {group.__doc__}\n\n| metric | type | labels | meaning |\n|---|---|---|---|"
        for metric in vars(group(CollectorRegistry())).values():
            suffix = "_total" if metric._type == "counter" else ""
            labels = ", ".join(metric._labelnames)
            yield _row(f"`{metric._name}{suffix}`", metric._type, labels, metric._documentation)


def _commands() -> Iterator[str]:
    app = typer.main.get_command(build_app())
    yield "Options of `trimtab` itself:\n"
    yield from _options(app)
    for path, command in _leaves(app, "trimtab"):
        yield f"\n## `{path}`\n\n{(command.help or '').strip()}\n"
        yield from _options(command)


def _options(command: Any) -> Iterator[str]:
    options = [p for p in command.params if p.name != "help" and not getattr(p, "hidden", False)]
    if options:
        yield "| option | meaning |\n|---|---|"
    for parameter in options:
        option = parameter.param_type_name == "option"
        spelled = "/".join(parameter.opts) if option else str(parameter.name).upper()
        yield _row(f"`{spelled}`", getattr(parameter, "help", "") or "")


def _leaves(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The commands that are not groups; typer's classes no longer derive from click's, so we check for `commands`."""
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
        return
    for name, child in children.items():
        yield from _leaves(child, f"{path} {name}")


if __name__ == "__main__":
    main()
