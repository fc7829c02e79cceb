"""Every test asserts something, expects an error, or calls what raises when something does not hold."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHECKING = re.compile(r"_*(assert|check|require|verify)(_|$)|(raises|warns|fail|run_state_machine_as_test)$")
"""Names of functions that raise when something does not hold, ours and pytest's."""


@dataclass(frozen=True)
class CheckedFile:
    """What a file's functions do: whether each asserts by itself, and which names it calls; and what is imported."""

    functions: Mapping[str, tuple[bool, frozenset[str]]]
    imported: frozenset[tuple[str, str]]


def read(source: str) -> CheckedFile:
    """Parse one file; functions inside of others belong to those."""
    tree, functions = ast.parse(source), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inside = list(ast.walk(node))
            called = frozenset(_called(each) for each in inside if isinstance(each, ast.Call))
            checks = any(isinstance(each, ast.Assert) for each in inside) or any(map(CHECKING.match, called))
            functions[node.name] = (checks, called)
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return CheckedFile(functions, frozenset((node.module or "", each.name) for node in imports for each in node.names))


def _called(call: ast.Call) -> str:
    """The last name of what is called."""
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def without_a_check(files: Mapping[str, CheckedFile]) -> Iterator[str]:
    """Tests that neither check anything nor call a function of the tests that does."""
    for module, file in files.items():
        helpers = {name for name, (checks, _) in file.functions.items() if checks and not name.startswith("test_")}
        for origin, name in file.imported:
            if origin in files and files[origin].functions.get(name, (False,))[0]:
                helpers.add(name)
        for name, (checks, called) in file.functions.items():
            if name.startswith("test_") and not checks and helpers.isdisjoint(called):
                yield f"{module}.{name}"


def test_every_test_checks_something() -> None:
    paths = sorted((ROOT / "tests").rglob("*.py"))
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    files = {name: read(path.read_text(encoding="utf-8")) for name, path in zip(names, paths, strict=True)}
    assert sum(name.startswith("test_") for file in files.values() for name in file.functions) > 1_500
    idle = list(without_a_check(files))
    assert idle == [], "\n".join(["let these assert something, or remove them:", *idle])


def test_what_counts_as_a_check() -> None:
    tests = (
        "from tests.samples import settles, sample\n"
        "def agree(a): assert a\n"
        "def test_one(): sample()\n"
        "def test_two(): settles()\n"
        "def test_three(): agree(1)\n"
        "def test_four():\n  with pytest.raises(E): sample()\n"
        "def test_five(): require_rights(1)\n"
        "def test_six():\n  for _ in range(3): assert sample()\n"
    )
    samples = "def settles():\n  assert sample()\ndef sample(): return 1\n"
    files = {"tests.test_it": read(tests), "tests.samples": read(samples)}
    assert list(without_a_check(files)) == ["tests.test_it.test_one"]
