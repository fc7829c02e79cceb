"""One `trimtab join` process, as a supervisor would run it."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.input_log import InputLog
from benchmarks.worker_log import first_taken, worker_environment
from trimtab.child_process import spawn, stop

EXPERIMENT = Path(__file__).with_name("homefeed.toml")
SESSION_SECONDS = 3.0
STOP_SECONDS = 20.0


class JoinWorkerProcess:
    """Starts the process when created; `directory` is for its log and its data.

    Its session time-out is short, so that the next worker gets the partitions soon after a kill.
    """

    def __init__(self, log: InputLog, directory: Path, *options: str, experiment: Path = EXPERIMENT) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._errors = directory / "join.log"
        command = (sys.executable, "-m", "trimtab", "join", "--session-seconds", str(SESSION_SECONDS), *options)
        self.process = spawn(command, log=self._errors, env=worker_environment(log, experiment, directory))

    def taken_at(self) -> float | None:
        """When it took its first partition, before it read any record."""
        return first_taken(self._errors.read_text(encoding="utf-8", errors="replace"))

    def stop(self) -> int:
        """Stop it with SIGTERM; returns its exit code."""
        return stop(self.process, STOP_SECONDS)
