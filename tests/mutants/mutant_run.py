"""Tries all mutants of some modules, several at a time."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.join_targets import ABOVE, PACKAGE, Target
from tests.mutants.mutant_trial import Baseline, Verdict, make_deterministic, measure, start, verdict
from tests.mutants.mutated_import import MutatedImport
from tests.mutants.source_mutants import Mutant, MutantKey, mutants_of

PYTEST_PLUGIN = "_hypothesis_pytestplugin"
"""It takes an import for the start of pytest, so only pytest may import it."""


@dataclass(frozen=True)
class Tried:
    """A mutant and what became of it; `stage` is the number of the test stage that killed it."""

    mutant: Mutant
    verdict: Verdict
    stage: int | None

    @property
    def survived(self) -> bool:
        """Whether all tests passed."""
        return self.verdict in (Verdict.SURVIVED, Verdict.NOT_IMPORTED)


def prepare(chosen: Sequence[Target]) -> Baseline:
    """Measures the tests without a mutant and imports what they import, but for the package under test."""
    make_deterministic()
    tests = list(dict.fromkeys(test for target in chosen for test in target.tests))
    with tempfile.TemporaryDirectory() as folder:
        baseline = measure(tests, Path(folder) / "baseline.json")
    for name in baseline.modules:
        if name.partition(".")[0] not in {*ABOVE, PYTEST_PLUGIN}:
            with suppress(ImportError):
                importlib.import_module(name)
    assert not any(name.partition(".")[0] == PACKAGE for name in sys.modules), "mutants would not be imported"
    return baseline


def try_all(
    chosen: Sequence[Target], baseline: Baseline, jobs: int, accepted: Container[MutantKey] = ()
) -> Iterator[Tried]:
    """Tries every mutant of these modules, `jobs` at a time; yields them as they end.

    Those that are accepted need not face the last stage, which is long: a reason says why it would not notice them.
    """
    running: dict[int, Mutant] = {}
    for target in chosen:
        for mutant in mutants_of(target.module, target.path.read_text(encoding="utf-8")):
            while len(running) >= jobs:
                yield _next_ended(running)
            mutated = MutatedImport(target.module, target.path, mutant.source)
            stages = target.stages[:-1] if mutant.key in accepted else target.stages
            running[start(mutated, stages, baseline)] = mutant
    while running:
        yield _next_ended(running)


def _next_ended(running: dict[int, Mutant]) -> Tried:
    pid, status = os.waitpid(-1, 0)
    return Tried(running.pop(pid), *verdict(status))
