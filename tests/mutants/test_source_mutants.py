"""Mutants of whole sources: one change each, in the text, named by the line before and after."""

from __future__ import annotations

import ast
from textwrap import dedent

import pytest

from tests.mutants.join_targets import targets
from tests.mutants.source_mutants import LONGEST_LINE, MODULE_LEVEL, Mutant, MutantKey, mutants_of


def mutants(source: str) -> list[Mutant]:
    return mutants_of("package.module", dedent(source))


def changes(source: str) -> list[tuple[str, str]]:
    return [(mutant.key.before, mutant.key.after) for mutant in mutants(source)]


def test_a_mutant_is_named_by_function_and_lines_and_holds_the_whole_source() -> None:
    source = """\
        KEPT = 3  # entries

        class Queue:
            def full(self):
                # says whether
                return self.size >= KEPT
        """
    found = mutants(source)
    assert [mutant.key for mutant in found] == [
        MutantKey("package.module", MODULE_LEVEL, "KEPT = 3 # entries", "KEPT = 4 # entries", 1),
        MutantKey("package.module", MODULE_LEVEL, "KEPT = 3 # entries", "KEPT = 2 # entries", 1),
        MutantKey("package.module", "Queue.full", "return self.size >= KEPT", "return None", 1),
        MutantKey("package.module", "Queue.full", "return self.size >= KEPT", "return self.size > KEPT", 1),
        MutantKey("package.module", "Queue.full", "return self.size >= KEPT", "return self.size < KEPT", 1),
    ]
    assert (found[3].operator, found[3].line) == ("comparison", 6)
    assert found[3].source == dedent(source).replace(">=", ">")


def test_compound_texts_get_parentheses_inside_other_expressions_only() -> None:
    assert changes("a * (b + c)")[1:] == [("a * (b + c)", "a // (b + c)"), ("a * (b + c)", "a * ((b - c))")]
    assert changes("not a < b") == [
        ("not a < b", "pass"),
        ("not a < b", "a < b"),
        ("not a < b", "not (a <= b)"),
        ("not a < b", "not (a >= b)"),
    ]


def test_equal_mutants_of_one_function_are_numbered() -> None:
    source = """\
        def f(a):
            a.b()
            if a:
                a.b()
        """
    keys = [mutant.key for mutant in mutants(source) if mutant.operator == "deletion"]
    assert [(key.before, key.nth) for key in keys] == [("a.b()", 1), ("a.b()", 2)]


def test_lines_are_joined_and_long_ones_cut() -> None:
    source = "f(\n    a,\n    -b,\n)\n"
    assert changes(source) == [("f( a, -b, )", "pass"), ("-b,", "b,")]
    ((before, _),) = changes(f"f({'x' * LONGEST_LINE})")
    assert len(before) == LONGEST_LINE + 1


def test_columns_count_bytes() -> None:
    assert changes("f('≤', -a)")[1:] == [("f('≤', -a)", "f('≤', a)")]


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""',
        "def f(a: x | y = b) -> x | y: ...",
        "a: x | y",
        "@given(1)\ndef f(): ...",
        "@dataclass(frozen=True)\nclass A: ...",
        "assert a < 1",
        "from a import b",
        "a = f'{b + c}'",
        "a = zip(b, strict=True)",
    ],
)
def test_what_is_left_alone(source: str) -> None:
    assert changes(source) == []


@pytest.mark.parametrize(
    ("source", "deleted"),
    [
        ("def f(a):\n    a = b", True),
        ("def f():\n    a = b", False),
        ("def f():\n    a = b\n    a = c", True),
        ("def f():\n    for a in b:\n        a = c", True),
        ("def f():\n    if b:\n        a = c", False),
    ],
)
def test_an_assignment_is_deleted_where_the_name_had_a_value_before(source: str, deleted: bool) -> None:
    assert any(after == "pass" for _, after in changes(source)) == deleted


def test_every_body_is_reached() -> None:
    source = """\
        try:
            a()
        except Error:
            b()
        else:
            c()
        finally:
            d()
        match e:
            case 1:
                g()
        for h in i:
            j()
        else:
            k()
        with l:
            m()
        """
    deleted = [before for before, after in changes(source) if after == "pass"]
    assert sorted(deleted) == [f"{name}()" for name in "abcdgjkm"]


def test_conditions_and_filters_are_turned_round() -> None:
    assert ("if a:", "if not a:") in changes("if a:\n    pass")
    assert ("while a:", "while not a:") in changes("while a:\n    pass")
    assert ("f([b for b in c if d])", "f([b for b in c if (not d)])") in changes("f([b for b in c if d])")


def test_every_mutant_of_the_joins_core_compiles_and_is_another_program() -> None:
    for target in targets(["expiry_queue", "engagement_ids"]):
        source = target.path.read_text(encoding="utf-8")
        found = mutants_of(target.module, source)
        assert len({mutant.key for mutant in found}) == len(found)
        original = ast.dump(ast.parse(source))
        assert all(ast.dump(ast.parse(mutant.source)) != original for mutant in found)
