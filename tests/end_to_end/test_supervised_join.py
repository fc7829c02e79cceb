"""`trimtab join --workers N` on a real broker: workers that die come back, and none is left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from event_schemas.codec import Codec
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from tests.components.free_port import neighbouring_ports
from tests.components.homefeed_log import HomefeedLog
from tests.components.join_bench import JoinBench

CODEC = Codec(Registry.bundled())


def test_workers_come_back_get_ready_and_drain_together(join_bench: JoinBench) -> None:
    log = HomefeedLog(load_experiment(join_bench.experiment_file), CODEC, 600)
    events = log.events()
    port = neighbouring_ports(6)
    join_bench.send(islice(events, 800))
    join_bench.start_worker("--workers", "2", "--metrics-port", str(port))
    assert _answer(port, "/readyz")[0] == 503, "workers that have only just begun are not ready"
    _until(lambda: _answer(port, "/readyz")[0] == 200, join_bench)
    assert [_answer(port + n, "/healthz")[0] for n in range(3)] == [200, 200, 200]

    first, second = _workers(join_bench)
    os.kill(first, signal.SIGKILL)
    _until(lambda: _answer(port, "/readyz")[0] == 503, join_bench)
    join_bench.send(events)
    join_bench.close_windows(log.heartbeat())
    _until(lambda: _answer(port, "/readyz")[0] == 200, join_bench)
    assert 'trimtab_join_worker_restarts_total{worker="1"} 1.0' in _answer(port, "/metrics")[1]
    assert second in _workers(join_bench), "the other worker went on"
    join_bench.wait_until_processed()
    assert join_bench.stop_workers() == [0], join_bench.log()
    assert all(_gone(pid) for pid in _workers(join_bench))
    report = json.loads(join_bench.run("reconcile", "--json").stdout)
    assert report["ok"], report["differences"]


def test_a_killed_supervisor_leaves_no_worker(join_bench: JoinBench) -> None:
    port = neighbouring_ports(6)
    supervisor = join_bench.start_worker("--workers", "5", "--metrics-port", str(port))
    _until(lambda: _answer(port, "/readyz")[0] == 200, join_bench)
    assert "worker failed" not in join_bench.log(), "a standby is no fault, and neither is a rebalance before a commit"
    supervisor.kill()
    assert supervisor.wait(10) == -signal.SIGKILL
    _until(lambda: all(_gone(pid) for pid in _workers(join_bench)), join_bench)
    assert join_bench.log().count("everything_confirmed=true") == 5, "they drained before they went"


def test_what_needs_a_person_ends_all_of_it(join_bench: JoinBench) -> None:
    join_bench.prefix = "absent."
    done = join_bench.run("join", "--workers", "2")
    assert done.returncode == 3
    assert "trimtab topics create" in done.stderr
    assert "worker failed and a restart cannot help" in done.stderr


def _workers(bench: JoinBench) -> list[int]:
    """The process id of each worker's newest start, by the workers' numbers."""
    started = re.findall(r"worker=(\d+) pid=(\d+)", bench.log())
    return [pid for _, pid in sorted({int(number): int(pid) for number, pid in started}.items())]


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except FileNotFoundError:
        return True


def _answer(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as page:
            return page.status, page.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()
    except OSError:
        return 503, ""


def _until(condition: Callable[[], bool], bench: JoinBench) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, bench.log()
        time.sleep(0.1)
