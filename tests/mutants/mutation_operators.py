"""What one mutation changes: for a syntax node, the texts that may stand in its place.

Each operator imitates a slip that a person makes: a boundary off by one, a condition the wrong way round, a call left
out. Strings, annotations, decorators and assertions are left alone: a text is no behaviour, and the others state what
mypy proves. `zip(…, strict=True)` is left alone too: it only checks what the lines around it make sure of.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_PAIRS = (("min", "max"), ("any", "all"), ("minimum", "maximum"), ("bisect", "bisect_left"))
SWAPS = {a: b for pair in _PAIRS for a, b in (pair, pair[::-1])}
"""Functions and methods that are easily confused."""
NOT_CALLED_WITH = frozenset({"strict"})
"""Keyword arguments that are left alone."""
COMPOUND = (ast.BoolOp, ast.Compare, ast.BinOp, ast.UnaryOp, ast.IfExp)
Node = TypeVar("Node", bound=ast.AST)


class Replacement(NamedTuple):
    """The text to put in the place of a node, and the operator that gave it; a `compound` text may need parentheses."""

    operator: str
    text: str
    compound: bool = False


def expression_replacements(node: ast.expr) -> Iterator[Replacement]:
    """What may stand in the place of an expression."""
    match node:
        case ast.Compare():
            yield from _comparisons(node)
        case ast.BinOp():
            yield _replacement("arithmetic", _with(node, op=ARITHMETIC[type(node.op)]()))
        case ast.BoolOp():
            yield from _booleans(node)
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert()):
            yield _replacement("unary", node.operand)
        case ast.IfExp():
            yield from _negations(node.test, lambda test: _with(node, test=test))
        case ast.Constant():
            yield from (_replacement("constant", ast.Constant(value)) for value in _neighbours(node.value))
        case ast.Call(func=ast.Name(id=name)) if name in SWAPS:
            yield _replacement("swap", _with(node, func=ast.Name(SWAPS[name])))
        case ast.Call(func=ast.Attribute(attr=name) as called) if name in SWAPS:
            yield _replacement("swap", _with(node, func=_with(called, attr=SWAPS[name])))
        case ast.Subscript(slice=ast.Slice() as bounds):
            yield from (
                _replacement("slice", _with(node, slice=_with(bounds, **{bound: None})))
                for bound in ("lower", "upper")
                if getattr(bounds, bound) is not None
            )


def statement_replacements(node: ast.stmt, rebinds: bool) -> Iterator[Replacement]:
    """What may stand in the place of a whole statement; `rebinds` tells that all its targets have values before it."""
    match node:
        case ast.Expr(value=ast.Constant()):
            return
        case ast.Assign() if not rebinds and all(isinstance(target, ast.Name | ast.Tuple) for target in node.targets):
            return
        case ast.Expr() | ast.Assign() | ast.Delete() | ast.Raise():
            yield Replacement("deletion", "pass")
        case ast.AugAssign():
            yield Replacement("deletion", "pass")
            yield _replacement("arithmetic", _with(node, op=ARITHMETIC[type(node.op)]()))
        case ast.Return(value=None):
            yield Replacement("deletion", "pass")
        case ast.Return(value=ast.Constant(value=None | False)):
            return  # `return False` and `return None` mean the same to who asks whether
        case ast.Return():
            yield Replacement("return", "return None")
        case ast.Continue():
            yield from (Replacement("jump", "break"), Replacement("deletion", "pass"))
        case ast.Break():
            yield from (Replacement("jump", "continue"), Replacement("deletion", "pass"))


def condition_replacements(test: ast.expr) -> Iterator[Replacement]:
    """What may stand in the place of the condition of an `if`, a `while` or a comprehension."""
    yield from _negations(test, lambda negated: negated)


def _comparisons(node: ast.Compare) -> Iterator[Replacement]:
    for place, found in enumerate(node.ops):
        for other in COMPARISONS[type(found)]:
            ops = [*node.ops[:place], other(), *node.ops[place + 1 :]]
            yield _replacement("comparison", _with(node, ops=ops))


def _booleans(node: ast.BoolOp) -> Iterator[Replacement]:
    other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    yield _replacement("boolean", _with(node, op=other))
    for place in range(len(node.values)):
        rest = [*node.values[:place], *node.values[place + 1 :]]
        yield _replacement("boolean", rest[0] if len(rest) == 1 else _with(node, values=rest))


def _negations(test: ast.expr, around: Callable[[ast.expr], ast.expr]) -> Iterator[Replacement]:
    """The condition the other way round, unless another operator does that anyway."""
    if not isinstance(test, ast.Compare) and not (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)):
        yield _replacement("negation", around(ast.UnaryOp(ast.Not(), test)))


def _neighbours(value: object) -> tuple[bool | int | float, ...]:
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, int):
        return (value + 1, value - 1)
    return (value + 1.0,) if isinstance(value, float) else ()


def _with(node: Node, **fields: object) -> Node:
    """A copy of the node with other fields."""
    values = {name: getattr(node, name, None) for name in node._fields}
    return type(node)(**(values | fields))


def _replacement(operator: str, node: ast.AST) -> Replacement:
    return Replacement(operator, ast.unparse(node), isinstance(node, COMPOUND))
