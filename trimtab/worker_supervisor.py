"""Runs several workers as one service: starts them, restarts those that fail, and stops them together.

The supervisor exits with

- 0 when it was told to stop and every worker then exited cleanly, or when every worker exited cleanly by itself;
- 3 when a worker exited because a person has to fix something (exit code 3, or 2: a restart would only repeat it);
- 1 when a worker failed too often, or did not exit cleanly when it was told to.

In every case the other workers are stopped first.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from monitoring.metrics import SupervisorMetrics
from trimtab.child_process import GRACE_SECONDS
from trimtab.process_exit import FAILED, NEEDS_A_PERSON, USAGE
from trimtab.process_group import LOOK_SECONDS, ProcessGroup
from trimtab.restart_policy import RestartHistory, RestartPolicy

NO_RESTART_HELPS = frozenset({NEEDS_A_PERSON, USAGE})
# A worker that is told to stop before it has installed its signal handler, or after it has removed it, dies of the
# signal: it had not begun, or was done.
ENDED_IN_ORDER = frozenset({0, -signal.SIGTERM})

log = structlog.get_logger(__name__)


@dataclass
class WorkerSlot:
    """One worker: it runs, or its next start is due at a time, or neither when it has ended for good."""

    number: int
    history: RestartHistory
    running: bool = False
    started_at: float = 0.0
    due_at: float | None = None


@dataclass
class WorkerSupervisor:
    """Runs `workers` processes, each started with `start(number)` on the thread that calls `run`."""

    workers: int
    start: Callable[[int], subprocess.Popen[bytes]]
    metrics: SupervisorMetrics
    draw: Callable[[], float]
    """Numbers from [0, 1) for the jitter of restarts."""
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    grace_seconds: float = GRACE_SECONDS
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._slots = [WorkerSlot(n, RestartHistory(self.policy, self.draw)) for n in range(1, self.workers + 1)]
        self._processes = ProcessGroup[int]()
        self._verdict: int | None = None
        self._turned = self.clock()

    @property
    def slots(self) -> Sequence[WorkerSlot]:
        """The workers, in order of their numbers."""
        return self._slots

    @property
    def turned(self) -> float:
        """When it last checked its workers, by `clock`."""
        return self._turned

    def run(self, stopping: Callable[[], bool]) -> int:
        """Starts all workers and tends them until `stopping` or until none is left; returns the exit code."""
        try:
            for slot in self._slots:
                self._launch(slot)
            while not stopping() and self._verdict is None:
                self._turned = self.clock()
                for slot in self._slots:
                    self._tend(slot)
                if not any(slot.running or slot.due_at is not None for slot in self._slots):
                    return self._verdict or 0
                time.sleep(LOOK_SECONDS)
        finally:
            in_order = self._end_all()
        if self._verdict is not None:
            return self._verdict
        return 0 if in_order else FAILED

    def _launch(self, slot: WorkerSlot) -> None:
        process = self.start(slot.number)
        self._processes.add(slot.number, process)
        slot.running, slot.started_at, slot.due_at = True, self.clock(), None
        log.info("worker started", worker=slot.number, pid=process.pid)
        self._count()

    def _tend(self, slot: WorkerSlot) -> None:
        if not slot.running:
            if slot.due_at is not None and self.clock() >= slot.due_at:
                self.metrics.restarts.labels(str(slot.number)).inc()
                self._launch(slot)
            return
        status = self._processes.exit_status(slot.number)
        if status is None:
            return
        self._processes.stop(slot.number)
        slot.running = False
        self._count()
        if status == 0:
            log.info("worker exited cleanly", worker=slot.number)
        elif status in NO_RESTART_HELPS:
            log.error("worker failed and a restart cannot help", worker=slot.number, status=status)
            self._verdict = NEEDS_A_PERSON
        else:
            self._failed(slot, status)

    def _failed(self, slot: WorkerSlot, status: int) -> None:
        now = self.clock()
        pause = slot.history.pause(now - slot.started_at, now)
        if pause is None:
            log.error("worker failed too often", worker=slot.number, status=status)
            self._verdict = FAILED
            return
        log.warning("worker failed", worker=slot.number, status=status, restart_in_seconds=round(pause, 1))
        slot.due_at = now + pause

    def _end_all(self) -> bool:
        """Stops the workers still running; returns whether all of them exited cleanly."""
        statuses = self._processes.stop_all(self.grace_seconds)
        for slot in self._slots:
            slot.running = False
        self._count()
        unruly = {number: status for number, status in statuses.items() if status not in ENDED_IN_ORDER}
        for number, status in unruly.items():
            log.error("worker did not exit cleanly", worker=number, status=status)
        return not unruly

    def _count(self) -> None:
        self.metrics.running.set(sum(slot.running for slot in self._slots))
