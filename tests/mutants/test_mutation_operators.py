"""Each operator by itself: what may stand in the place of an expression or a statement."""

from __future__ import annotations

import ast

import pytest

from tests.mutants.mutation_operators import condition_replacements, expression_replacements, statement_replacements


def expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


@pytest.mark.parametrize(
    ("text", "replacements"),
    [
        ("a < b", ["a <= b", "a >= b"]),
        ("a >= b", ["a > b", "a < b"]),
        ("0 <= a < b", ["0 < a < b", "0 > a < b", "0 <= a <= b", "0 <= a >= b"]),
        ("a == b", ["a != b"]),
        ("a is not None", ["a is None"]),
        ("a in b", ["a not in b"]),
        ("a + b", ["a - b"]),
        ("a // b", ["a * b"]),
        ("a | b", ["a & b"]),
        ("a << 1", ["a >> 1"]),
        ("a and b", ["a or b", "b", "a"]),
        ("a or b or c", ["a and b and c", "b or c", "a or c", "a or b"]),
        ("not a", ["a"]),
        ("-a", ["a"]),
        ("~a", ["a"]),
        ("a if b else c", ["a if not b else c"]),
        ("a if b < 1 else c", []),
        ("7", ["8", "6"]),
        ("0.5", ["1.5"]),
        ("True", ["False"]),
        ("'text'", []),
        ("b'bytes'", []),
        ("None", []),
        ("min(a, b)", ["max(a, b)"]),
        ("np.maximum(a, b)", ["np.minimum(a, b)"]),
        ("any(a)", ["all(a)"]),
        ("len(a)", []),
        ("a[1:n]", ["a[:n]", "a[1:]"]),
        ("a[:n]", ["a[:]"]),
        ("a[1]", []),
    ],
)
def test_expressions(text: str, replacements: list[str]) -> None:
    assert [replacement.text for replacement in expression_replacements(expression(text))] == replacements


@pytest.mark.parametrize(
    ("text", "rebinds", "replacements"),
    [
        ("f(a)", True, ["pass"]),
        ("yield a", True, ["pass"]),
        ("'a docstring'", True, []),
        ("...", True, []),
        ("a = 1", False, []),
        ("a, b = c", False, []),
        ("a = 1", True, ["pass"]),
        ("a.b = 1", False, ["pass"]),
        ("a[b] = c = 1", False, ["pass"]),
        ("a += b", True, ["pass", "a -= b"]),
        ("del a[b]", True, ["pass"]),
        ("raise a", True, ["pass"]),
        ("continue", True, ["break", "pass"]),
        ("break", True, ["continue", "pass"]),
        ("return", True, ["pass"]),
        ("return None", True, []),
        ("return False", True, []),
        ("return 0", True, ["return None"]),
        ("return a(b)", True, ["return None"]),
        ("pass", True, []),
    ],
)
def test_statements(text: str, rebinds: bool, replacements: list[str]) -> None:
    (statement,) = ast.parse(text).body
    assert [replacement.text for replacement in statement_replacements(statement, rebinds)] == replacements


@pytest.mark.parametrize(
    ("text", "replacements"),
    [("a", ["not a"]), ("a and b", ["not (a and b)"]), ("a < b", []), ("not a", [])],
)
def test_conditions_are_turned_round_unless_another_operator_does(text: str, replacements: list[str]) -> None:
    assert [replacement.text for replacement in condition_replacements(expression(text))] == replacements


def test_compound_texts_say_so() -> None:
    compound = {r.text: r.compound for r in expression_replacements(expression("a and b"))}
    assert compound == {"a or b": True, "b": False, "a": False}
