"""A supervisor's health is that of its workers."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry

from monitoring.exposition import serve_metrics
from monitoring.metrics import SupervisorMetrics
from stream_processors.worker.worker_health import ALIVE_SECONDS
from tests.components.free_port import free_port
from trimtab.worker_probes import START_SECONDS, WorkerProbes, reasons_of
from trimtab.worker_supervisor import WorkerSupervisor


class Fixture:
    """Two workers' endpoints, whose answers are the lists `first` and `second`, and a clock to set."""

    def __init__(self, urls: dict[int, str], wrong: dict[int, list[str]]) -> None:
        self.now = time.monotonic()
        self.wrong = wrong
        self.supervisor = WorkerSupervisor(
            2, self._no_start, SupervisorMetrics(CollectorRegistry()), lambda: 0.5, clock=lambda: self.now
        )
        self.probes = WorkerProbes(self.supervisor, urls, lambda: self.now)

    def run(self, number: int) -> None:
        """The worker counts as just started; only its endpoint is there."""
        slot = self.supervisor.slots[number - 1]
        slot.running, slot.started_at = True, self.now

    @staticmethod
    def _no_start(number: int) -> subprocess.Popen[bytes]:
        raise AssertionError(f"nobody starts worker {number} here")


@contextmanager
def fixture() -> Iterator[Fixture]:
    ports, wrong = {1: free_port(), 2: free_port()}, {1: list[str](), 2: list[str]()}
    registry = CollectorRegistry()
    stops = [
        serve_metrics(port, registry, checks={"/healthz": lambda n=n: wrong[n], "/readyz": lambda n=n: wrong[n]})  # type: ignore[misc]
        for n, port in ports.items()
    ]
    made = Fixture({n: f"http://127.0.0.1:{port}" for n, port in ports.items()}, wrong)
    try:
        yield made
    finally:
        for end in stops:
            end()


def test_all_workers_ready_is_ready() -> None:
    with fixture() as made:
        assert made.probes.unready() == ["worker 1: not running", "worker 2: not running"]
        assert made.probes.unhealthy() == [], "a worker between two starts is looked after"
        made.run(1)
        made.run(2)
        assert made.probes.unready() == []
        made.wrong[2].append("no partitions assigned yet")
        assert made.probes.unready() == ["worker 2: no partitions assigned yet"]


def test_a_worker_that_is_stuck_after_its_start_is_not_healthy() -> None:
    with fixture() as made:
        made.run(1)
        made.wrong[1].append("the event loop has not turned for 9 s")
        assert made.probes.unhealthy() == [], "it may still load its libraries"
        made.supervisor.slots[0].started_at -= START_SECONDS + 1
        assert made.probes.unhealthy() == ["worker 1: the event loop has not turned for 9 s"]


def test_a_supervisor_that_does_not_look_around_is_not_healthy() -> None:
    with fixture() as made:
        made.now += ALIVE_SECONDS + 1
        assert made.probes.unhealthy() == ["the supervisor has not checked its workers for 6 s"]


def test_no_answer_and_a_strange_answer_are_wrong_too() -> None:
    assert "does not answer" in reasons_of(f"http://127.0.0.1:{free_port()}/healthz")[0]
    port = free_port()
    end = serve_metrics(port, CollectorRegistry())
    try:
        assert reasons_of(f"http://127.0.0.1:{port}/healthz") == ["answered 404"]
        assert reasons_of(f"http://127.0.0.1:{port}/metrics") == []
    finally:
        end()


def test_what_does_not_speak_http_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(
            target=lambda: server.accept()[0].sendall(b"GET /readyz HTTP/1.1\r\n\r\n"), daemon=True
        ).start()
        [reason] = reasons_of(f"http://127.0.0.1:{server.getsockname()[1]}/readyz", 10.0)
    assert reason.startswith("does not answer: ")
