"""The page of errors: every message of a TrimtabError in the shipped code, as a pattern, with its fix."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from trimtab.import_names import PACKAGES

ROOT = Path(__file__).parents[1]
ROOT_ERROR = "TrimtabError"


@dataclass(frozen=True)
class Message:
    """What one `raise` can say: the text with a name in angle brackets wherever a value is filled in, and its fix."""

    error: str
    what: str
    fix: str


@dataclass(frozen=True)
class ErrorClass:
    """An exception that derives from TrimtabError: what its docstring says first, and the package that defines it."""

    bases: tuple[str, ...]
    meaning: str
    package: str


def errors() -> Iterator[str]:
    """The lines of the page."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in _sources()}
    classes = _error_classes(trees)
    shared = _imported_once(trees.values())
    by_class: dict[str, list[Message]] = defaultdict(list)
    for tree in trees.values():
        for message in _messages(tree, classes, shared):
            if message not in by_class[message.error]:
                by_class[message.error].append(message)
    yield "Every error says what is wrong and how to fix it. Values that a message fills in are shown as `<name>`.\n"
    yield "Search this page for the words of a message that never change."
    for package in (*PACKAGES, "trimtab"):
        named = sorted(name for name, found in classes.items() if found.package == package and by_class.get(name))
        if named:
            yield f"\n## {package}"
        for name in named:
            yield f"\n### `{name}`\n\n{classes[name].meaning}\n\n| message | fix |\n|---|---|"
            for message in sorted(by_class[name], key=lambda each: each.what):
                yield f"| {_cell(message.what)} | {_cell(message.fix)} |"


def _sources() -> list[Path]:
    return [path for package in (*PACKAGES, "trimtab") for path in sorted((ROOT / package).rglob("*.py"))]


def _error_classes(trees: Mapping[Path, ast.Module]) -> dict[str, ErrorClass]:
    """Every class that derives from TrimtabError, by name."""
    found: dict[str, ErrorClass] = {}
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                bases = tuple(base.id for base in node.bases if isinstance(base, ast.Name))
                meaning = (ast.get_docstring(node) or "").split("\n\n")[0].replace("\n", " ")
                found[node.name] = ErrorClass(bases, meaning, path.relative_to(ROOT).parts[0])
    derived = {ROOT_ERROR}
    while more := {name for name, each in found.items() if derived & {*each.bases}} - derived:
        derived |= more
    return {name: found[name] for name in derived}


def _imported_once(trees: Iterable[ast.Module]) -> dict[str, ast.expr]:
    """Constants that one module alone defines: where another names one, it is imported from there."""
    defined = [pair for tree in trees for pair in _constants(tree).items()]
    counts = Counter(name for name, _ in defined)
    return {name: value for name, value in defined if counts[name] == 1}


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    """The constants of a module, by name."""
    return {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id.isupper()
    }


def _messages(tree: ast.Module, classes: Mapping[str, ErrorClass], shared: Mapping[str, ast.expr]) -> Iterator[Message]:
    constants = {**shared, **_constants(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in classes and node.args:
            fix = next((keyword.value for keyword in node.keywords if keyword.arg == "fix"), None)
            what = _text(node.args[0], constants)
            if re.search("[a-z]", re.sub("<[^>]*>", "", what)) and fix is not None:
                yield Message(node.func.id, what, _text(fix, constants))


def _text(node: ast.expr, constants: Mapping[str, ast.expr]) -> str:
    """A string expression as people read it."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_text(each, constants) for each in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left, constants) + _text(right, constants)
        case ast.FormattedValue(value=value):
            return _text(value, constants) if _is_constant(value, constants) else f"<{_name(value)}>"
        case ast.Name(id=name) if name in constants:
            return _text(constants[name], {})
        case _:
            return f"<{_name(node)}>"


def _is_constant(node: ast.expr, constants: Mapping[str, ast.expr]) -> bool:
    return isinstance(node, ast.Name) and isinstance(constants.get(node.id), ast.Constant | ast.JoinedStr)


def _name(node: ast.expr) -> str:
    """The last name in an expression: what the value is called."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr="args" | "value" | "__name__"):
            return _name(value)
        case ast.Attribute(attr=name):
            return name.lstrip("_")
        case ast.Subscript(value=value):
            return _name(value)
        case ast.Call(args=[first, *_]):
            return _name(first)
        case ast.Call(func=ast.Attribute(value=value)):
            return _name(value)
        case _:
            names = [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]
            return names[0] if names else "value"


def _cell(text: str) -> str:
    """Text for a table; angle brackets outside of code are escaped."""
    parts = text.replace("|", "\\|").replace("\n", " ").split("`")
    parts[::2] = [part.replace("<", "&lt;").replace(">", "&gt;") for part in parts[::2]]
    return "`".join(parts)
