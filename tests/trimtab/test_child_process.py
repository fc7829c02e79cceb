"""Children end when told to, when they ignore that, and when their parent is gone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trimtab.child_process import spawn, stop, stop_together, tail

Capture = pytest.CaptureFixture[str]
SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER
PARENT = """
import sys, time
from pathlib import Path
from trimtab.child_process import spawn
child = spawn([sys.executable, "-c", {code!r}], log=Path({log!r}))
print(child.pid, flush=True)
time.sleep(60)
"""


def await_text(log: Path, text: str) -> None:
    deadline = time.monotonic() + 10
    while text not in tail(log):
        assert time.monotonic() < deadline, f"{log} never said {text!r}"
        time.sleep(0.02)


def group_exists(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except FileNotFoundError:
        return True


def test_output_and_errors_go_where_they_are_told(tmp_path: Path) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr)"
    log, output = tmp_path / "log", tmp_path / "out"
    assert spawn([sys.executable, "-c", code], log=log, output=output).wait(10) == 0
    assert tail(output) == "out" and tail(log) == "err"
    assert spawn([sys.executable, "-c", code], log=log, env={"A": "b"}).wait(10) == 0
    assert set(tail(log).splitlines()) == {"err", "out"}


def test_stop_takes_the_whole_group_along(tmp_path: Path) -> None:
    log = tmp_path / "log"
    grandchild = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]); " + SLEEPER
    child = spawn([sys.executable, "-c", grandchild], log=log)
    await_text(log, "up\nup")
    assert stop(child) == -signal.SIGTERM
    deadline = time.monotonic() + 10
    while group_exists(child.pid):
        assert time.monotonic() < deadline, "the grandchild is still there"
        time.sleep(0.02)
    assert stop(child) == -signal.SIGTERM


def test_who_does_not_listen_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = spawn([sys.executable, "-c", DEAF], log=log)
    await_text(log, "up")
    assert stop(child, grace_s=0.2) == -signal.SIGKILL


def test_children_are_ended_together_within_one_grace(tmp_path: Path) -> None:
    logs = [tmp_path / name for name in ("meek", "deaf", "deaf too")]
    children = [spawn([sys.executable, "-c", SLEEPER if log.name == "meek" else DEAF], log=log) for log in logs]
    for log in logs:
        await_text(log, "up")
    assert stop_together(children, grace_s=0.3) == [-signal.SIGTERM, -signal.SIGKILL, -signal.SIGKILL]
    assert stop_together(children) == [-signal.SIGTERM, -signal.SIGKILL, -signal.SIGKILL]
    assert stop_together([]) == []


def test_a_lifeline_is_a_pipe_and_without_a_log_the_child_writes_where_the_parent_does(capfd: Capture) -> None:
    code = "import sys; print(sys.stdin.read() + 'out', flush=True)"
    child = spawn([sys.executable, "-c", code], lifeline=True)
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(10) == 0
    assert capfd.readouterr().out == "out\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a child that its parent died")
def test_a_child_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    script = PARENT.format(code=SLEEPER, log=str(tmp_path / "log"))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        await_text(tmp_path / "log", "up")
        parent.kill()
    deadline = time.monotonic() + 10
    while not gone(child):
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.02)


def test_the_tail_of_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert tail(tmp_path / "none") == ""
