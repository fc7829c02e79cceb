"""However the demo ends, none of its processes keeps running."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


def processes_of(directory: Path) -> list[int]:
    """Processes that carry the directory in their command line or environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                carried = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if str(directory).encode() in carried:
                found.append(int(entry.name))
    return found


def await_processes(directory: Path, enough: int, at_most: int = 1_000) -> None:
    deadline = time.monotonic() + 60
    while not enough <= len(processes_of(directory)) <= at_most:
        assert time.monotonic() < deadline, f"{len(processes_of(directory))} processes of {directory}"
        time.sleep(0.1)


def assert_second_is_refused(environment: dict[str, str], directory: Path) -> None:
    held = {entry: entry.stat().st_ino for entry in directory.iterdir()}
    second = subprocess.run(
        [sys.executable, "-m", "trimtab", "demo"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1
    assert second.stderr.splitlines()[-2:] == [
        f"error: another demo is running in {directory}",
        "fix: wait until it ends, or set TRIMTAB_DATA_DIR to another directory for this one",
    ]
    assert held.items() <= {entry: entry.stat().st_ino for entry in directory.iterdir()}.items()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_no_process_is_left_behind(number: signal.Signals, status: int, tmp_path: Path) -> None:
    environment = {**os.environ, "TRIMTAB_DATA_DIR": str(tmp_path)}
    demo = subprocess.Popen(
        [sys.executable, "-m", "trimtab", "demo"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        # The demo, its redis-server, three joins and three replays.
        await_processes(tmp_path, 8)
        if number is signal.SIGTERM:
            assert_second_is_refused(environment, tmp_path / "demo")
        demo.send_signal(number)
        output, _ = demo.communicate(timeout=60)
    finally:
        demo.kill()
    assert demo.returncode == status, output.decode()
    await_processes(tmp_path, 0, at_most=0)
    if number is signal.SIGINT:
        assert b"nothing is left running" in output
