"""A supervised process stays down if it was stopped on purpose, and is restarted if it ended by itself."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos.supervised_process import RESTART_SECONDS, SupervisedProcess, process_state, resident_bytes


def process(tmp_path: Path, code: str) -> SupervisedProcess:
    return SupervisedProcess("p", [sys.executable, "-c", code], tmp_path / "p.log", dict(os.environ))


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_killed_process_stays_down_until_it_is_started(tmp_path: Path) -> None:
    sleeper = process(tmp_path, "import time; time.sleep(60)")
    sleeper.start()
    first = sleeper.pid
    assert sleeper.kill() == -signal.SIGKILL
    sleeper.tend(time.monotonic() + 60)
    assert not sleeper.running
    sleeper.start()
    assert sleeper.pid != first
    assert sleeper.stop() == -signal.SIGTERM
    assert sleeper.exits == [-signal.SIGKILL, -signal.SIGTERM]


def test_a_process_that_fails_is_started_again_after_a_moment(tmp_path: Path) -> None:
    failing = process(tmp_path, "raise SystemExit(3)")
    failing.start()
    eventually(lambda: not failing.running)
    failing.tend(100.0)
    failing.tend(100.0 + RESTART_SECONDS / 2)
    assert failing.restarts == 0
    failing.tend(100.0 + RESTART_SECONDS)
    assert (failing.restarts, failing.exits) == (1, [3])
    eventually(lambda: not failing.running)


def test_a_process_whose_work_is_done_is_left_alone(tmp_path: Path) -> None:
    done = process(tmp_path, "pass")
    done.start()
    eventually(lambda: not done.running)
    done.tend(100.0)
    done.tend(200.0)
    assert done.finished
    assert done.restarts == 0


def test_a_frozen_process_is_alive_and_stopped(tmp_path: Path) -> None:
    sleeper = process(tmp_path, "import time; time.sleep(60)")
    sleeper.start()
    eventually(lambda: resident_bytes(sleeper.pid) > 0)
    sleeper.freeze()
    eventually(lambda: process_state(sleeper.pid) == "T")
    assert sleeper.running
    sleeper.thaw()
    eventually(lambda: process_state(sleeper.pid) != "T")
    sleeper.kill()
    assert process_state(sleeper.pid) == ""
    assert resident_bytes(sleeper.pid) == 0
