"""The modules that are mutated, the core of the join, and the tests that each of their mutants has to face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from event_schemas.errors import TrimtabError

ROOT = Path(__file__).parents[2]
PACKAGE = "stream_processors"
WINGS = ("rule", "partition")
TESTED_BY = {"rule": ("rule", "columns", "partition"), "partition": ("partition",)}
"""The wings whose tests say what a wing's modules must do, its own first."""
LAST = ("tests/stream_processors/partition/test_partition_join_reference.py",)
"""Any log against the reference, any log cut and restarted: only for what survives everything else."""
ABOVE = frozenset({PACKAGE, "tests", "benchmarks", "simulator", "trimtab", "__main__"})
"""Packages that import the package under test, or may: a mutant's process imports them itself."""


class UnknownModule(TrimtabError):
    """A module that was named on the command line is not among those that are mutated."""


@dataclass(frozen=True)
class Target:
    """A module to mutate: its name, its file, and test files in stages that follow each other."""

    module: str
    path: Path
    stages: tuple[tuple[str, ...], ...]

    @property
    def tests(self) -> tuple[str, ...]:
        """The files of all stages."""
        return tuple(name for stage in self.stages for name in stage)


def targets(chosen: Sequence[str] = ()) -> list[Target]:
    """All targets, or those whose module ends with one of these names; raises UnknownModule."""
    found = [_target(wing, path) for wing in WINGS for path in sorted((ROOT / PACKAGE / wing).glob("[a-z]*.py"))]
    for name in chosen:
        if not any(_is_named(target, name) for target in found):
            known = ", ".join(target.module.removeprefix(f"{PACKAGE}.") for target in found)
            raise UnknownModule(f"no module {name!r} is mutated", fix=f"choose from {known}")
    return [target for target in found if not chosen or any(_is_named(target, name) for name in chosen)]


def _target(wing: str, path: Path) -> Target:
    namesake = _name(ROOT / "tests" / PACKAGE / wing / f"test_{path.name}")
    folders = [ROOT / "tests" / PACKAGE / tested_by for tested_by in TESTED_BY[wing]]
    tests = [_name(test) for folder in folders for test in sorted(folder.glob("test_*.py"))]
    rest = tuple(test for test in tests if test != namesake and test not in LAST)
    return Target(f"{PACKAGE}.{wing}.{path.stem}", path, ((namesake,), rest, LAST))


def _is_named(target: Target, name: str) -> bool:
    return f".{target.module}".endswith(f".{name}")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
