"""Runs tests on one mutant, in a fork of a process that has imported everything else.

A fork costs a few milliseconds. What it imports itself is the package under test and the tests, so every name that they
hold is the mutant's: functions, properties, constants and defaults alike. Patching a module that is already imported
would miss those that others have imported by name.

Time is CPU time, so a busy machine fails no test. A test that takes `SLOWER` times as much as without a mutant, and
`ALLOWANCE_S` more, ends the child: the mutant runs in circles.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, Phase, settings

from event_schemas.errors import TrimtabError
from tests.mutants.mutated_import import MutatedImport

SLOWER, ALLOWANCE_S = 10.0, 3.0
COLLECTION_S = 60.0
"""CPU time in which the tests of a mutant must be collected."""
STUCK_S = 900
"""A child that is not done after this time waits for something that never comes."""
MOST_MEMORY = 6 << 30
SURVIVED, NOT_IMPORTED, KILLED = 0, 3, 10
"""Exit codes of a child; `KILLED` + n tells that stage n killed the mutant."""
PROFILE = "mutants"


class TestsNotGreen(TrimtabError):
    """Without a mutant the tests fail, so they say nothing about mutants."""


class Verdict(StrEnum):
    """What the tests made of a mutant."""

    KILLED = "killed"
    TIMED_OUT = "timed out"
    """Killed too: the tests would never have ended."""
    SURVIVED = "survived"
    NOT_IMPORTED = "not imported"
    """The tests do not import its module."""


@dataclass(frozen=True)
class Baseline:
    """What the tests need without a mutant: CPU seconds by test, and the modules that they import."""

    seconds: Mapping[str, float]
    modules: Sequence[str]


@dataclass
class CpuLimits:
    """A pytest plugin: ends the process when a test takes too long, and notes what each test took."""

    baseline: Mapping[str, float] | None
    seconds: dict[str, float] = field(default_factory=dict)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Around each test, its fixtures included."""
        if self.baseline is not None:
            limit_cpu(ALLOWANCE_S + SLOWER * self.baseline.get(item.nodeid, 0.0))
        begun = time.process_time()
        result = yield
        self.seconds[item.nodeid] = time.process_time() - begun
        limit_cpu(0)
        return result


def limit_cpu(seconds: float) -> None:
    """SIGPROF, which nobody handles, ends this process after that much CPU time of its own; 0 lifts the limit."""
    signal.setitimer(signal.ITIMER_PROF, seconds)


def make_deterministic() -> None:
    """Hypothesis draws the same examples for every mutant, and stops at the first that fails without shrinking it."""
    settings.register_profile(
        PROFILE,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    settings.load_profile(PROFILE)


def measure(tests: Sequence[str], notes: Path) -> Baseline:
    """Runs tests in a child without a mutant, which writes `notes`; raises TestsNotGreen."""
    pid = os.fork()
    if pid == 0:
        limits = CpuLimits(None)
        code = _pytest(tests, limits)
        notes.write_text(json.dumps([limits.seconds, list(sys.modules)]), encoding="utf-8")
        os._exit(code)
    _, status = os.waitpid(pid, 0)
    if status != 0:
        raise TestsNotGreen(f"pytest ended with status {status} without a mutant", fix=f"pytest {' '.join(tests)}")
    seconds, modules = json.loads(notes.read_text(encoding="utf-8"))
    return Baseline(seconds, modules)


def start(mutated: MutatedImport, stages: Sequence[Sequence[str]], baseline: Baseline) -> int:
    """Starts a child that runs the stages' tests one after the other until one fails; returns its process id."""
    pid = os.fork()
    if pid == 0:
        _run(mutated, stages, baseline)
    return pid


def verdict(status: int) -> tuple[Verdict, int | None]:
    """What the status of an ended child says: the verdict, and the number of the stage that killed the mutant."""
    if os.WIFSIGNALED(status):
        ended_by = os.WTERMSIG(status)
        return (Verdict.TIMED_OUT if ended_by in (signal.SIGPROF, signal.SIGALRM) else Verdict.KILLED), None
    code = os.WEXITSTATUS(status)
    if code >= KILLED:
        return Verdict.KILLED, code - KILLED
    return (Verdict.SURVIVED if code == SURVIVED else Verdict.NOT_IMPORTED), None


def _run(mutated: MutatedImport, stages: Sequence[Sequence[str]], baseline: Baseline) -> NoReturn:
    code = 0
    try:
        signal.alarm(STUCK_S)
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        sys.meta_path.insert(0, mutated)
        for number, tests in enumerate(stages):
            limit_cpu(COLLECTION_S)
            if _pytest(tests, CpuLimits(baseline.seconds)) != 0:
                code = KILLED + number
                break
        if not mutated.loaded:
            code = NOT_IMPORTED
    except BaseException:
        code = KILLED
    os._exit(code)


def _pytest(tests: Sequence[str], plugin: CpuLimits) -> int:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    options = ("-x", "-q", "-p", "no:cacheprovider", "-p", "no:timeout", "-W", "ignore")
    return int(pytest.main([*options, *tests], [plugin]))
