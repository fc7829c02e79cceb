"""Child processes that one owner looks after and ends together."""

from __future__ import annotations

import subprocess
from collections.abc import Hashable
from typing import Generic, TypeVar

from trimtab.child_process import STOP_SECONDS, stop_together

LOOK_SECONDS = 0.1
"""How often an owner looks whether one has ended."""
ProcessName = TypeVar("ProcessName", bound=Hashable)


class ProcessGroup(Generic[ProcessName]):
    """The owner's children by name, oldest first; made by `child_process.spawn`. For one thread."""

    def __init__(self) -> None:
        self._processes: dict[ProcessName, subprocess.Popen[bytes]] = {}

    def add(self, name: ProcessName, process: subprocess.Popen[bytes]) -> None:
        """From now on the child belongs to the group."""
        self._processes[name] = process

    def exit_status(self, name: ProcessName) -> int | None:
        """A child's exit status; None while it runs."""
        return self._processes[name].poll()

    def ended(self) -> dict[ProcessName, int]:
        """The exit statuses of children that ended by themselves and are still in the group."""
        statuses = {name: process.poll() for name, process in self._processes.items()}
        return {name: status for name, status in statuses.items() if status is not None}

    def pids(self) -> list[int]:
        """The processes that run."""
        return [process.pid for process in self._processes.values() if process.poll() is None]

    def stop(self, *names: ProcessName, grace_s: float = STOP_SECONDS) -> dict[ProcessName, int]:
        """Ends the named children with what they started, all within the same `grace_s`; they leave the group.

        Returns how each ended. Of one that had ended by itself only what it left behind is ended.
        """
        leaving = {name: self._processes.pop(name) for name in names}
        statuses = stop_together(list(leaving.values()), grace_s)
        for process in leaving.values():
            if process.stdin is not None:
                process.stdin.close()
        return dict(zip(leaving, statuses, strict=True))

    def stop_all(self, grace_s: float = STOP_SECONDS) -> dict[ProcessName, int]:
        """Ends every child, the youngest first; safe to repeat."""
        return self.stop(*reversed(self._processes), grace_s=grace_s)
