"""Several workers as one service: started, started again when they fail, and ended together.

The supervisor ends with

- 0 when it was told to end and every worker then ended in order, or when every worker ended in order by itself;
- 3 when a worker ended because a person has to see to it (exit code 3, or 2: a restart would only repeat it);
- 1 when a worker failed too often, or did not end in order when it was told to.

In every case the other workers are ended in order first.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from monitoring.metrics import SupervisorMetrics
from trimtab.child_process import stop_together
from trimtab.process_exit import FAILED, NEEDS_A_PERSON, USAGE
from trimtab.restart_policy import RestartHistory, RestartPolicy

TICK_SECONDS = 0.1
GRACE_SECONDS = 40.0
"""How long workers may take to end: the join drains for 15 s and leaves its group."""
UNMENDABLE = frozenset({NEEDS_A_PERSON, USAGE})
# A worker that is told to end before it could install a handler, or after it removed it, dies of the signal: it had
# not begun, or was done.
ENDED_IN_ORDER = frozenset({0, -signal.SIGTERM})

log = structlog.get_logger(__name__)


@dataclass
class WorkerSlot:
    """One worker's place: its process, or when the next one is due, or neither when it ended for good."""

    number: int
    history: RestartHistory
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    due_at: float | None = None

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self.process is not None


@dataclass
class WorkerSupervisor:
    """Runs `workers` processes, each made by `start(number)`, from the thread that calls `run`."""

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
        self._told = False
        self._verdict: int | None = None
        self._turned = self.clock()

    @property
    def slots(self) -> Sequence[WorkerSlot]:
        """The workers' places, in order."""
        return self._slots

    @property
    def turned(self) -> float:
        """When it last looked after its workers, by `clock`."""
        return self._turned

    def stop(self, *_: object) -> None:
        """Told to end; may be called from a signal handler."""
        self._told = True

    def run(self) -> int:
        """Start all and look after them until told to end, or until there is nothing to look after; the exit code."""
        try:
            for slot in self._slots:
                self._launch(slot)
            while not self._told and self._verdict is None:
                self._turned = self.clock()
                for slot in self._slots:
                    self._tend(slot)
                if not any(slot.running or slot.due_at is not None for slot in self._slots):
                    return self._verdict or 0
                time.sleep(TICK_SECONDS)
        finally:
            in_order = self._end_all()
        if self._verdict is not None:
            return self._verdict
        return 0 if in_order else FAILED

    def _launch(self, slot: WorkerSlot) -> None:
        slot.process, slot.started_at, slot.due_at = self.start(slot.number), self.clock(), None
        log.info("worker started", worker=slot.number, pid=slot.process.pid)
        self._count()

    def _tend(self, slot: WorkerSlot) -> None:
        if slot.process is None:
            if slot.due_at is not None and self.clock() >= slot.due_at:
                self.metrics.restarts.labels(str(slot.number)).inc()
                self._launch(slot)
            return
        status = slot.process.poll()
        if status is None:
            return
        self._release(slot)
        if status == 0:
            log.info("worker ended in order", worker=slot.number)
        elif status in UNMENDABLE:
            log.error("worker needs a person", worker=slot.number, status=status)
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
        """Ends what still runs; whether all of that ended in order."""
        running = [slot for slot in self._slots if slot.process is not None]
        statuses = stop_together([slot.process for slot in running if slot.process is not None], self.grace_seconds)
        for slot, status in zip(running, statuses, strict=True):
            self._release(slot)
            if status not in ENDED_IN_ORDER:
                log.error("worker did not end in order", worker=slot.number, status=status)
        return all(status in ENDED_IN_ORDER for status in statuses)

    def _release(self, slot: WorkerSlot) -> None:
        if slot.process is not None and slot.process.stdin is not None:
            slot.process.stdin.close()
        slot.process = None
        self._count()

    def _count(self) -> None:
        self.metrics.running.set(sum(slot.running for slot in self._slots))
