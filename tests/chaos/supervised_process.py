"""A supervised process: tests signal it on purpose, and it is restarted when it ends by itself."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trimtab.child_process import spawn, stop

RESTART_SECONDS = 1.5
GRACE_SECONDS = 40.0


@dataclass
class SupervisedProcess:
    """One process of a stage. `tend` is called often with the time and restarts it if it ended by itself.

    A process that was stopped on purpose stays down until `start`. One that ends with code 0 has done its work.
    """

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str]
    exits: list[int] = field(default_factory=list)
    """Exit codes of past lives; a signal's number is negative."""
    restarts: int = 0
    """How often the supervisor had to step in."""
    _process: subprocess.Popen[bytes] | None = None
    _down_since: float | None = None
    _on_purpose: bool = False

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        return self._process.pid if self.running and self._process else None

    @property
    def running(self) -> bool:
        """Whether it is alive (frozen counts)."""
        return self._process is not None and self._process.poll() is None

    @property
    def finished(self) -> bool:
        """Whether it ended well and by itself."""
        return not self.running and bool(self.exits) and self.exits[-1] == 0

    def start(self, command: Sequence[str] | None = None) -> None:
        """Start the process unless it is running; `command` applies to this life only."""
        if not self.running:
            self._process = spawn(command or self.command, log=self.log, env=self.environment)
            self._down_since, self._on_purpose = None, False

    def kill(self) -> int:
        """SIGKILL; returns the exit code."""
        return self._end(lambda process: process.kill())

    def stop(self) -> int:
        """SIGTERM, then SIGKILL if it does not end; returns the exit code."""
        return self._end(lambda process: stop(process, GRACE_SECONDS))

    def freeze(self) -> None:
        """SIGSTOP."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def tend(self, now: float) -> None:
        """Note if it has ended; restart it after a moment unless it was stopped on purpose or its work is done."""
        if self._process is None or self.running or self._on_purpose:
            return
        if self._down_since is None:
            self._down_since = now
            self.exits.append(self._process.returncode)
        if not self.finished and now - self._down_since >= RESTART_SECONDS:
            self.restarts += 1
            self.start()

    def _end(self, how: Callable[[subprocess.Popen[bytes]], object]) -> int:
        if self._process is None:
            return 0
        self._on_purpose = True
        how(self._process)
        code = self._process.wait(GRACE_SECONDS)
        self.exits.append(code)
        return code


def process_state(pid: int | None) -> str:
    """The kernel's letter for the state of a process (`T`: stopped); empty if there is no such process."""
    fields = _stat(pid)
    return fields[0] if fields else ""


def resident_bytes(pid: int | None) -> int:
    """The resident memory of a process; 0 if there is no such process."""
    fields = _stat(pid)
    return int(fields[21]) * os.sysconf("SC_PAGE_SIZE") if fields else 0


def _stat(pid: int | None) -> list[str]:
    """The fields of /proc/PID/stat after the command's name, which may contain spaces."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    except OSError:
        return []
