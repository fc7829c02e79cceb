"""A group knows how its children fare, and ends them together."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trimtab.test_child_process import DEAF, SLEEPER, await_text
from trimtab.child_process import spawn
from trimtab.process_group import ProcessGroup


@pytest.fixture
def group() -> Iterator[ProcessGroup[str]]:
    made = ProcessGroup[str]()
    yield made
    made.stop_all(0.0)


def add(group: ProcessGroup[str], name: str, code: str, folder: Path) -> subprocess.Popen[bytes]:
    child = spawn([sys.executable, "-c", code], log=folder / f"{name}.log", lifeline=True)
    group.add(name, child)
    return child


def test_what_ended_by_itself_is_told_until_it_is_let_go(group: ProcessGroup[str], tmp_path: Path) -> None:
    runs, ends = add(group, "runs", SLEEPER, tmp_path), add(group, "ends", "exit(7)", tmp_path)
    ends.wait(10)
    assert (group.exit_status("runs"), group.exit_status("ends")) == (None, 7)
    assert group.ended() == {"ends": 7}
    assert group.pids() == [runs.pid]
    assert group.stop("ends") == {"ends": 7}
    assert group.ended() == {}
    with pytest.raises(KeyError):
        group.stop("ends")


def test_all_end_within_one_grace_and_their_lifelines_are_closed(group: ProcessGroup[str], tmp_path: Path) -> None:
    children = [add(group, name, code, tmp_path) for name, code in (("meek", SLEEPER), ("deaf", DEAF))]
    for name in ("meek", "deaf"):
        await_text(tmp_path / f"{name}.log", "up")
    statuses = group.stop_all(0.3)
    assert statuses == {"meek": -signal.SIGTERM, "deaf": -signal.SIGKILL}
    assert list(statuses) == ["deaf", "meek"], "the youngest first"
    assert all(child.stdin is not None and child.stdin.closed for child in children)
    assert group.stop_all() == {}
