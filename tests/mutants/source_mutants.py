"""All mutants of a module: its source with one small change each.

The change is made in the text, so that everything else stays as it was written and a mutant can be shown as the line
before and after. Nodes inside f-strings are left alone: Python 3.11 does not know where they are.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.mutants.mutation_operators import (
    NOT_CALLED_WITH,
    Replacement,
    condition_replacements,
    expression_replacements,
    statement_replacements,
)

LONGEST_LINE = 160
"""Longer lines are cut where they are shown or compared."""
MODULE_LEVEL = "<module>"


class MutantKey(NamedTuple):
    """What names a mutant in the file of accepted survivors; it does not change when other lines do.

    `before` and `after` are the changed lines without indentation. `nth` counts mutants that have everything else in
    common, from 1.
    """

    module: str
    function: str
    before: str
    after: str
    nth: int

    def __str__(self) -> str:
        return f"{self.module} {self.function}: {self.before} -> {self.after}"


@dataclass(frozen=True)
class Mutant:
    """One change: its name, the operator that made it, the line it is in, and the whole source with it."""

    key: MutantKey
    operator: str
    line: int
    source: str


class _Change(NamedTuple):
    """A text and the node whose place it takes."""

    function: str
    node: ast.expr | ast.stmt
    operator: str
    text: str


def mutants_of(module: str, source: str) -> list[Mutant]:
    """All mutants of a module, in the order of its lines."""
    seen: Counter[tuple[str, str, str]] = Counter()
    found = []
    lines = source.encode().splitlines(keepends=True)
    for function, node, operator, text in _in_body(ast.parse(source).body, (), set()):
        before = b"".join(lines[node.lineno - 1 : node.end_lineno])
        end = len(before) - len(lines[(node.end_lineno or node.lineno) - 1]) + (node.end_col_offset or 0)
        after = before[: node.col_offset] + text.encode() + before[end:]
        if after == before:
            continue
        shown = _shown(before), _shown(after)
        seen[(function, *shown)] += 1
        key = MutantKey(module, function, *shown, seen[(function, *shown)])
        whole = [*lines[: node.lineno - 1], after, *lines[node.end_lineno :]]
        found.append(Mutant(key, operator, node.lineno, b"".join(whole).decode()))
    return found


def _shown(lines: bytes) -> str:
    text = " ".join(lines.decode().split())
    return text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}…"


def _in_body(body: Iterable[ast.stmt], scope: tuple[str, ...], bound: set[str]) -> Iterator[_Change]:
    """Changes in statements of one scope; `bound` are the names that had values before, and grows."""
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from _in_function(node, (*scope, node.name))
            case ast.ClassDef():
                yield from _in_body(node.body, (*scope, node.name), set())
            case ast.Assert() | ast.Import() | ast.ImportFrom():
                continue
            case _:
                yield from _in_statement(node, scope, bound)


def _in_function(node: ast.FunctionDef | ast.AsyncFunctionDef, scope: tuple[str, ...]) -> Iterator[_Change]:
    arguments = node.args
    for default in (*arguments.defaults, *arguments.kw_defaults):
        if default is not None:
            yield from _in_expression(default, scope)
    given = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg)
    yield from _in_body(node.body, scope, {argument.arg for argument in given if argument is not None})


def _in_statement(node: ast.stmt, scope: tuple[str, ...], bound: set[str]) -> Iterator[_Change]:
    targets = _names(node.targets) if isinstance(node, ast.Assign) else set()
    yield from _replaced(node, scope, statement_replacements(node, targets <= bound))
    if isinstance(node, ast.If | ast.While):
        yield from _replaced(node.test, scope, condition_replacements(node.test))
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr) and not (isinstance(node, ast.AnnAssign) and child is node.annotation):
            bound |= _names([child]) if isinstance(node, ast.For) and child is node.target else set()
            yield from _in_expression(child, scope, nested=False)
    bound |= targets
    for body in (getattr(node, name, []) for name in ("body", "orelse", "finalbody")):
        yield from _in_body(body, scope, bound)
    for part in (*getattr(node, "handlers", []), *getattr(node, "cases", [])):
        yield from _in_body(part.body, scope, bound)


def _in_expression(node: ast.expr, scope: tuple[str, ...], nested: bool = True) -> Iterator[_Change]:
    if isinstance(node, ast.JoinedStr):
        return
    yield from _replaced(node, scope, expression_replacements(node), nested)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            yield from _in_expression(child, scope)
        elif isinstance(child, ast.keyword) and child.arg not in NOT_CALLED_WITH:
            yield from _in_expression(child.value, scope)
        elif isinstance(child, ast.comprehension):
            for test in child.ifs:
                yield from _replaced(test, scope, condition_replacements(test), nested=True)
            for part in (child.iter, *child.ifs):
                yield from _in_expression(part, scope)


def _replaced(
    node: ast.expr | ast.stmt, scope: tuple[str, ...], replacements: Iterable[Replacement], nested: bool = False
) -> Iterator[_Change]:
    """The changes of one node; inside another expression a compound text gets parentheses."""
    for operator, text, compound in replacements:
        yield _Change(".".join(scope) or MODULE_LEVEL, node, operator, f"({text})" if nested and compound else text)


def _names(targets: Iterable[ast.AST]) -> set[str]:
    return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
