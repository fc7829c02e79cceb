"""The demo's child processes: starts `trimtab` commands, waits for them, and stops them as one group."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from event_schemas.errors import TrimtabError
from event_schemas.units import KIBIBYTE
from trimtab.child_process import spawn, tail
from trimtab.process_group import LOOK_SECONDS, ProcessGroup

MEASURE_SECONDS = 1.0
Tick = Callable[[], None]


class DemoFailed(TrimtabError):
    """A command of the demo failed, or did not do in time what the next step needs."""


@dataclass(frozen=True)
class Job:
    """A `trimtab` command: its name in logs, its arguments, its environment, and the exit statuses to accept."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    accept: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class JobResult:
    """How a job ended; `output` is what it wrote on stdout."""

    name: str
    status: int
    output: str

    def json(self) -> dict[str, Any]:
        """The one JSON object the command printed; raises DemoFailed."""
        try:
            parsed = json.loads(self.output)
        except ValueError as fault:
            raise DemoFailed(
                f"{self.name} printed no JSON: {self.output[:200]!r}", fix="report this as a bug"
            ) from fault
        if not isinstance(parsed, dict):
            raise DemoFailed(f"{self.name} printed {type(parsed).__name__}, not an object", fix="report this as a bug")
        return parsed


class JobRunner:
    """Owns every child process; leaving the context stops them all, the youngest first.

    A child's environment is this process's without its `TRIMTAB_*` variables, plus that of its job. Use it from the
    main thread: children end when the thread that started them ends.
    """

    def __init__(self, logs: Path, interrupted: Tick) -> None:
        """`interrupted` raises when the demo should stop; it is called whenever the runner waits."""
        logs.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self._interrupted = interrupted
        self._children = ProcessGroup[str]()
        self._jobs: dict[str, Job] = {}
        self._inherited = inherited_environment(os.environ, logs.parent / "bytecode")
        self.peak_bytes = 0
        self._measured_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_all()

    def start(self, *jobs: Job) -> None:
        """Starts jobs; each runs until it ends by itself or is stopped."""
        for job in jobs:
            self._output(job.name).unlink(missing_ok=True)
            command = [sys.executable, "-m", "trimtab", *job.arguments]
            environment = {**self._inherited, **job.environment}
            self._jobs[job.name] = job
            process = spawn(command, log=self._log(job.name), output=self._output(job.name), env=environment)
            self._children.add(job.name, process)

    def finish(self, names: Sequence[str], tick: Tick) -> list[JobResult]:
        """Waits for started jobs to end, calling `tick` meanwhile; returns results in the order of `names`.

        Raises DemoFailed when one of them ends with a status that it does not accept, or when any other child ends.
        """
        while any(self._children.exit_status(name) is None for name in names):
            self.require_running(may_end=names)
            self._rest(tick)
        self.require_running(may_end=names)
        return [self._result(name) for name in names]

    def run(self, jobs: Sequence[Job], tick: Tick) -> list[JobResult]:
        """Runs jobs in parallel until all have ended; see `finish`."""
        self.start(*jobs)
        return self.finish([job.name for job in jobs], tick)

    def run_chains(self, chains: Sequence[Sequence[Job]], at_once: int, tick: Tick) -> list[list[JobResult]]:
        """Runs each chain's jobs in sequence, at most `at_once` chains in parallel; returns results by chain."""
        results: list[list[JobResult]] = [[] for _ in chains]
        waiting, running = list(range(len(chains))), dict[int, str]()

        def advance(chain: int) -> None:
            running.pop(chain, None)
            if len(results[chain]) < len(chains[chain]):
                job = chains[chain][len(results[chain])]
                self.start(job)
                running[chain] = job.name

        while waiting or running:
            while waiting and len(running) < at_once:
                advance(waiting.pop(0))
            for chain, name in list(running.items()):
                if self._children.exit_status(name) is not None:
                    self.require_running(may_end=list(running.values()))
                    results[chain].append(self._result(name))
                    advance(chain)
            self.require_running(may_end=list(running.values()))
            self._rest(tick)
        return results

    def wait_until(self, ready: Callable[[], bool], what: str, seconds: float, tick: Tick) -> None:
        """Waits until `ready()`; raises DemoFailed, naming `what`, after `seconds`, or when a child ends."""
        deadline = time.monotonic() + seconds
        while not ready():
            self.require_running()
            if time.monotonic() > deadline:
                raise DemoFailed(f"{what}: did not happen within {seconds:g} s", fix=f"see the logs in {self._logs}")
            self._rest(tick)

    def require_running(self, may_end: Sequence[str] = ()) -> None:
        """Raises DemoFailed when a child ended unexpectedly or with a bad status, and whatever `interrupted` raises."""
        self._interrupted()
        for name, status in self._children.ended().items():
            if name not in may_end or status not in self._jobs[name].accept:
                raise self._failure(name, status)

    def stop(self, *names: str) -> None:
        """Stops the named children together, and removes them from the group."""
        self._children.stop(*names)

    def stop_all(self) -> None:
        """Stops every child and removes the outputs of those that wrote none; safe to repeat."""
        self._children.stop_all()
        for name in self._jobs:
            _remove_if_empty(self._output(name))

    def _rest(self, tick: Tick) -> None:
        tick()
        if time.monotonic() > self._measured_at + MEASURE_SECONDS:
            self._measured_at = time.monotonic()
            alive = [os.getpid(), *self._children.pids()]
            self.peak_bytes = max(self.peak_bytes, sum(_resident(pid) for pid in alive))
        time.sleep(LOOK_SECONDS)

    def _result(self, name: str) -> JobResult:
        status = self._children.stop(name)[name]
        output = self._output(name).read_text(encoding="utf-8")
        _remove_if_empty(self._log(name))
        _remove_if_empty(self._output(name))
        return JobResult(name, status, output)

    def _failure(self, name: str, status: int) -> DemoFailed:
        log = self._log(name)
        lines = tail(log).splitlines()
        said = next((line for line in reversed(lines) if line.startswith("error:")), lines[-1] if lines else "nothing")
        return DemoFailed(f"{name} ended with exit status {status}; its last message: {said}", fix=f"see {log}")

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _output(self, name: str) -> Path:
        return self._logs / f"{name}.out"


def inherited_environment(environment: Mapping[str, str], bytecode: Path) -> dict[str, str]:
    """The part of the parent's environment that children inherit: everything except its `TRIMTAB_*` variables.

    If Python must not write bytecode beside the sources, children share it in a separate folder; otherwise forty
    processes would compile the same libraries forty times.
    """
    kept = {name: value for name, value in environment.items() if not name.startswith("TRIMTAB_")}
    if kept.pop("PYTHONDONTWRITEBYTECODE", ""):
        kept["PYTHONPYCACHEPREFIX"] = str(bytecode)
    return kept


def _remove_if_empty(file: Path) -> None:
    """Nobody should open a file that says nothing."""
    if file.exists() and not file.stat().st_size:
        file.unlink()


def _resident(pid: int) -> int:
    """Memory of a process in bytes, with shared pages counted proportionally; 0 if /proc does not say."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        return sum(int(line.split()[1]) * KIBIBYTE for line in lines if line.startswith("Pss:"))
    except (OSError, IndexError, ValueError):
        return 0
