"""There is one owner at a time, for its whole life, regardless of its children."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from event_schemas.directory_lock import DirectoryLock, DirectoryTaken
from tests.components.forking import ROOT, command_of, in_child, outcome_of


def test_a_lock_has_one_owner(tmp_path: Path) -> None:
    first = DirectoryLock(tmp_path / "lock")
    with pytest.raises(DirectoryTaken, match="belongs to another process"):
        DirectoryLock(tmp_path / "lock")
    assert first.held
    first.release()
    first.release()
    assert not first.held
    DirectoryLock(tmp_path / "lock").release()


def test_a_second_owner_may_wait(tmp_path: Path) -> None:
    first = DirectoryLock(tmp_path / "lock")
    began = time.monotonic()
    with pytest.raises(DirectoryTaken):
        DirectoryLock(tmp_path / "lock", wait_s=0.1)
    assert time.monotonic() - began >= 0.1
    first.release()


def test_a_lock_on_a_removed_file_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old owner removes the file after the new one has opened it and before it has locked it."""
    file, lock_file = tmp_path / "lock", fcntl.flock
    removed = threading.Event()

    def remove_and_lock(descriptor: int, operation: int) -> None:
        if not removed.is_set():
            removed.set()
            file.unlink()
        lock_file(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_and_lock)
    owner = DirectoryLock(file, wait_s=5)
    with pytest.raises(DirectoryTaken):
        DirectoryLock(file)
    owner.remove()
    assert not file.exists()
    owner.remove()


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        DirectoryLock(tmp_path / "none" / "lock")


def child_does_not_hold(folder: str) -> dict[str, bool]:
    lock = DirectoryLock(Path(folder) / "lock")

    def child() -> dict[str, bool]:
        try:
            DirectoryLock(Path(folder) / "lock")
        except DirectoryTaken:
            return {"held": lock.held, "free": False}
        return {"held": lock.held, "free": True}

    return {**in_child(child), "parent": lock.held}


def test_a_forked_child_holds_nothing_and_takes_nothing_away(tmp_path: Path) -> None:
    assert outcome_of(child_does_not_hold, tmp_path) == {"held": False, "free": False, "parent": True}


def die_with_living_child(folder: str) -> None:
    lock = DirectoryLock(Path(folder) / "lock")
    child = os.fork()
    if child == 0:
        time.sleep(60)
    print(child, lock.held, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_living_child_keeps_no_lock_of_a_dead_owner(tmp_path: Path) -> None:
    with subprocess.Popen(command_of(die_with_living_child, tmp_path), cwd=ROOT, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        child = int(owner.stdout.readline().split()[0])
        try:
            assert owner.wait(30) == -signal.SIGKILL
            os.kill(child, 0)  # it lives
            DirectoryLock(tmp_path / "lock", wait_s=30.0).release()  # the child lets go of it when it first runs
        finally:
            os.kill(child, signal.SIGKILL)


def forks_meanwhile(folder: str, forks: str) -> int:
    """Forks while another thread takes and frees a lock all the time; the children that still had it open."""
    file, done = Path(folder) / "lock", threading.Event()

    def take_and_free() -> None:
        while not done.is_set():
            DirectoryLock(file).release()

    taking = threading.Thread(target=take_and_free)
    taking.start()
    try:
        return sum(in_child(partial(has_open, str(file))) for _ in range(int(forks)))
    finally:
        done.set()
        taking.join()


def has_open(file: str) -> int:
    """Whether this process has the file open. Its only thread closes nothing meanwhile."""
    links = [link for link in Path("/proc/self/fd").iterdir() if os.path.lexists(link)]
    return int(Path(file) in {link.readlink() for link in links})


def test_a_child_keeps_no_lock_that_was_about_to_be_taken_or_freed(tmp_path: Path) -> None:
    assert outcome_of(forks_meanwhile, tmp_path, 600) == 0
