"""The supervisor with small real processes: restarts, verdicts, and a clean stop."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from monitoring.metrics import SupervisorMetrics
from trimtab.child_process import spawn
from trimtab.restart_policy import RestartPolicy
from trimtab.worker_supervisor import WorkerSupervisor

QUICK = RestartPolicy(first_seconds=0.05, longest_seconds=0.05, most=3)
SERVES = (
    "import signal, time; signal.signal(signal.SIGTERM, lambda *_: exit(0)); print('up', flush=True); time.sleep(60)"
)
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


@dataclass
class Fleet:
    """Workers that run the given programs, one after the other; the last one is repeated."""

    folder: Path
    programs: dict[int, list[str]]
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    started: list[tuple[int, subprocess.Popen[bytes]]] = field(default_factory=list)

    def start(self, number: int) -> subprocess.Popen[bytes]:
        left = self.programs[number]
        program = left.pop(0) if len(left) > 1 else left[0]
        child = spawn([sys.executable, "-c", program], log=self.folder / f"{number}.log", lifeline=True)
        self.started.append((number, child))
        return child

    def supervisor(self) -> WorkerSupervisor:
        metrics = SupervisorMetrics(self.registry)
        return WorkerSupervisor(len(self.programs), self.start, metrics, lambda: 0.5, QUICK, grace_seconds=0.5)

    def up(self, workers: int) -> bool:
        logs = [self.folder / f"{n}.log" for n in range(1, workers + 1)]
        return sum(log.read_text().count("up") for log in logs if log.exists()) >= workers


def run_until(supervisor: WorkerSupervisor, condition: Callable[[], bool]) -> int:
    deadline = time.monotonic() + 20
    return supervisor.run(lambda: condition() or time.monotonic() > deadline)


def never() -> bool:
    return False


def test_told_to_end_it_ends_all_in_order(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, {1: [SERVES], 2: [SERVES]})
    supervisor = fleet.supervisor()
    assert run_until(supervisor, lambda: len(fleet.started) == 2 and fleet.up(2)) == 0
    assert [child.returncode for _, child in fleet.started] == [0, 0]
    assert fleet.registry.get_sample_value("trimtab_join_workers_running") == 0
    assert not any(slot.running for slot in supervisor.slots)


def test_a_failed_worker_is_started_again_and_the_other_goes_on(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, {1: ["exit(1)", "import os; os.kill(os.getpid(), 9)", SERVES], 2: [SERVES]})
    assert run_until(fleet.supervisor(), lambda: len(fleet.started) == 4 and fleet.up(2)) == 0
    assert sorted(number for number, _ in fleet.started) == [1, 1, 1, 2]
    restarts = fleet.registry.get_sample_value("trimtab_join_worker_restarts_total", {"worker": "1"})
    assert restarts == 2


@pytest.mark.parametrize(("program", "status"), [("exit(3)", 3), ("exit(2)", 3), ("exit(1)", 1)])
def test_what_a_restart_cannot_fix_ends_all_of_it(program: str, status: int, tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, {1: [SERVES], 2: [program]})
    assert fleet.supervisor().run(never) == status
    assert [number for number, _ in fleet.started].count(2) == (4 if status == 1 else 1), "three restarts at most"
    assert fleet.started[0][1].returncode in (0, -signal.SIGTERM)


def test_a_worker_that_does_not_listen_is_killed_and_that_is_no_order(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, {1: [DEAF], 2: [SERVES]})
    assert run_until(fleet.supervisor(), lambda: len(fleet.started) == 2 and fleet.up(2)) == 1
    assert {number: child.returncode for number, child in fleet.started} == {1: -signal.SIGKILL, 2: 0}


def test_workers_that_end_in_order_by_themselves_are_let_go(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, {1: ["exit(0)"], 2: ["exit(0)"]})
    supervisor = fleet.supervisor()
    before = supervisor.turned
    assert supervisor.run(never) == 0
    assert len(fleet.started) == 2
    assert supervisor.turned > before


def test_workers_do_not_outlive_a_fault_of_the_supervisor(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, {1: [SERVES], 2: [SERVES]})

    def start(number: int) -> subprocess.Popen[bytes]:
        if number == 2:
            raise OSError("no more processes")
        return fleet.start(number)

    supervisor = WorkerSupervisor(2, start, SupervisorMetrics(fleet.registry), lambda: 0.5, QUICK)
    with pytest.raises(OSError, match="no more processes"):
        supervisor.run(never)
    assert fleet.started[0][1].returncode is not None
