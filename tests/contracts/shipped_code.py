"""What the shipped packages define and use, by name. Each file is parsed once, and no tree is kept."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[2]
Kind = Literal["class", "function", "method", "constant", "member", "field", "default"]
DefiningNode = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

LOCAL = "<local>"
"""The owner of what a function defines inside: nobody else can use it, and ruff sees what is unused there."""
PLAIN_DECORATORS = frozenset(
    {"abstractmethod", "cache", "cached_property", "classmethod", "contextmanager", "dataclass", "lru_cache"}
    | {"overload", "property", "runtime_checkable", "setter", "staticmethod", "unique", "wraps"}
)
"""They leave it to callers whether a definition is used. Every other decorator hands it to a framework."""
FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```", flags=re.DOTALL | re.MULTILINE)
WORD = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Definition:
    """A name that a module defines; `owner` is its class, empty at the top of the module.

    A `member` is one of several constants that one value is unpacked into, a `field` what a class annotates, and a
    `default` what it sets without a type.
    """

    module: str
    owner: str
    name: str
    kind: Kind
    registered: bool = False

    def __str__(self) -> str:
        return ".".join(part for part in (self.module, self.owner, self.name) if part)


@dataclass
class Module:
    """What a module defines and reads. Names are not counted inside a definition of the same name."""

    definitions: list[Definition] = field(default_factory=list)
    bases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    imported: set[tuple[str, str]] = field(default_factory=set)
    names: Counter[str] = field(default_factory=Counter)
    attributes: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class ShippedCode:
    """The modules of the packages in the wheel, by name, and the names in the programs that documentation shows."""

    modules: Mapping[str, Module]
    documented: frozenset[str]

    @property
    def definitions(self) -> Iterator[Definition]:
        """Everything defined, in the order of the modules."""
        for module in self.modules.values():
            yield from module.definitions

    @cached_property
    def attributes(self) -> Counter[str]:
        """How often any module reads an attribute."""
        return sum((module.attributes for module in self.modules.values()), Counter())

    @cached_property
    def importers(self) -> Mapping[tuple[str, str], set[str]]:
        """The modules that import a name from a module."""
        found: dict[tuple[str, str], set[str]] = {}
        for name, module in self.modules.items():
            for each in module.imported:
                found.setdefault(each, set()).add(name)
        return found

    @cached_property
    def above(self) -> Mapping[str, frozenset[str]]:
        """Of each class, by its name: the names of all classes above it."""
        bases = {name: above for module in self.modules.values() for name, above in module.bases.items()}
        return {name: frozenset(_above(name, bases)) for name in bases}

    @cached_property
    def methods(self) -> Mapping[str, frozenset[str]]:
        """Of each class: the methods it defines itself."""
        return self._by_owner({"method"})

    @cached_property
    def _members(self) -> Mapping[str, frozenset[str]]:
        return self._by_owner({"method", "field", "default"})

    def methods_of(self, name: str) -> frozenset[str]:
        """The methods of a class and of those above it."""
        return self.methods[name].union(*(self.methods.get(each, ()) for each in self.above[name]))

    def members_of(self, name: str) -> frozenset[str]:
        """The methods and other attributes that a class and those above it define."""
        return self._members[name].union(*(self._members.get(each, ()) for each in self.above[name]))

    def _by_owner(self, kinds: Collection[Kind]) -> Mapping[str, frozenset[str]]:
        found: dict[str, set[str]] = {name: set() for name in self.above}
        for each in self.definitions:
            if each.owner and each.kind in kinds:
                found[each.owner].add(each.name)
        return {name: frozenset(names) for name, names in found.items()}


def _above(name: str, bases: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    for base in bases.get(name, ()):
        yield base
        yield from _above(base, bases) if base != name else ()


def shipped_files() -> list[Path]:
    """The Python files of the packages that pyproject.toml puts into the wheel."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return sorted(each for package in packages for each in (ROOT / package).rglob("*.py"))


def read_shipped_code() -> ShippedCode:
    """Parse the shipped files."""
    modules = {}
    for path in shipped_files():
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        modules[name] = read_module(name, path.read_text(encoding="utf-8"))
    pages = (path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")))
    return ShippedCode(modules, frozenset(names_shown(pages)))


def read_module(name: str, source: str) -> Module:
    """What the source of one module defines and reads."""
    module = Module()
    _Reader(name, module).visit(ast.parse(source))
    return module


def names_shown(pages: Iterable[str]) -> Iterator[str]:
    """The words of the Python programs in pages: of blocks in Python, and of lines that run `python -c`."""
    for page in pages:
        for language, block in FENCED.findall(page):
            shown = block if language == "python" else "\n".join(re.findall(r"python -c .*", block))
            yield from WORD.findall(shown)


class _Reader(ast.NodeVisitor):
    """Fills a Module from its tree."""

    def __init__(self, name: str, module: Module) -> None:
        self._name, self._module = name, module
        self._owners: list[str] = []
        self._within: list[str] = []

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self._module.imported |= {(node.module or "", alias.name) for alias in node.names}

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load) and node.id not in self._within:
            self._module.names[node.id] += 1

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.ctx, ast.Load) and node.attr not in self._within:
            self._module.attributes[node.attr] += 1
        self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._module.bases[node.name] = tuple(_last_name(base) for base in node.bases)
        self._define(node, "class", node.name)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._define(node, "method" if self._owners else "function", LOCAL)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._define(node, "method" if self._owners else "function", LOCAL)

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            unpacked = isinstance(target, ast.Tuple) and not isinstance(node.value, ast.Tuple)
            kind: Kind = "default" if self._owners else "member" if unpacked else "constant"
            for part in ast.walk(target):
                if isinstance(part, ast.Name):
                    self._add(part.id, kind)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._add(node.target.id, "field" if self._owners else "constant")
        self.generic_visit(node)

    def _define(self, node: DefiningNode, kind: Kind, owner: str) -> None:
        registered = any(_last_name(each) not in PLAIN_DECORATORS for each in node.decorator_list)
        self._add(node.name, kind, registered)
        self._owners.append(owner)
        self._within.append(node.name)
        self.generic_visit(node)
        self._owners.pop()
        self._within.pop()

    def _add(self, name: str, kind: Kind, registered: bool = False) -> None:
        owner = self._owners[-1] if self._owners else ""
        if owner != LOCAL:
            self._module.definitions.append(Definition(self._name, owner, name, kind, registered))


def _last_name(node: ast.expr) -> str:
    """`c` of `a.b.c`, whether called, subscripted or neither."""
    match node:
        case ast.Call(func=inner) | ast.Subscript(value=inner):
            return _last_name(inner)
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""
