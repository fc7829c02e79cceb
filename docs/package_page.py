"""The page of packages: what each package and each of its sub-packages is for, and which imports which."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import grimp

from trimtab.import_names import PACKAGES

ROOT = Path(__file__).parents[1]
WINGED = tuple(name for name in PACKAGES if any((ROOT / name).glob("*/__init__.py")))
"""The packages with sub-packages."""


def packages() -> Iterator[str]:
    """The lines of the page."""
    yield "From the top down, each layer imports only layers below it; `make lint` enforces this.\n"
    yield "```"
    yield from (each.replace(" | ", "   ") for each in _layers(None))
    yield "```\n"
    graph = grimp.build_graph(*WINGED, cache_dir=None)
    for package in (*PACKAGES, "trimtab"):
        yield f"## `{package}`\n\n{_docstring(ROOT / package)}\n"
        if package not in WINGED:
            continue
        yield "```mermaid\ngraph TD"
        yield from _arrows(graph, package)
        yield "```\n"
        for wing in _wings(package):
            yield f"### `{package}.{wing}`\n\n{_docstring(ROOT / package / wing)}\n"


def _layers(container: str | None) -> list[str]:
    """The layers that the import rules in pyproject.toml declare."""
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    wanted = None if container is None else [container]
    found: list[str] = next(
        rule["layers"] for rule in rules if rule["type"] == "layers" and rule.get("containers") == wanted
    )
    return found


def _wings(package: str) -> list[str]:
    """Its sub-packages, the highest first."""
    names = [name for layer in _layers(package) for name in layer.split(" | ")]
    return [name for name in names if (ROOT / package / name / "__init__.py").exists()]


def _arrows(graph: grimp.ImportGraph, package: str) -> Iterator[str]:
    """An arrow for each pair of rooms of which the first imports the second."""
    rooms = [name for layer in _layers(package) for name in layer.split(" | ")]
    found: set[tuple[str, str]] = set()
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            first, second = module.split("."), imported.split(".")
            if first[0] == second[0] == package and len(first) > 1 < len(second) and first[1] != second[1]:
                found.add((first[1], second[1]))
    for upper, lower in sorted(found, key=lambda pair: (rooms.index(pair[0]), rooms.index(pair[1]))):
        yield f"    {upper} --> {lower}"


def _docstring(directory: Path) -> str:
    text = ast.get_docstring(ast.parse((directory / "__init__.py").read_text(encoding="utf-8"))) or ""
    return "\n".join(_list(text.splitlines()))


def _list(lines: list[str]) -> Iterator[str]:
    """Reads, Writes, Guarantees and Fails begin a line of their own, so that Markdown keeps them apart."""
    for line, following in pairwise([*lines, ""]):
        starts = following.startswith(("Reads", "Writes", "Guarantees", "Fails"))
        yield line + ("  " if starts and line else "")
