"""A forked child of a process with ONNX Runtime ends at once, with its own status, and its exit handlers run."""

from __future__ import annotations

import atexit
import ctypes
import multiprocessing
import os
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from multiprocessing.util import Finalize
from pathlib import Path

import pytest

from event_schemas import child_exit, process_fork
from tests.components.forking import ended, outcome_of

DEPTH = 3


def native_end(note: str) -> None:
    """Writes to a C stream, which is flushed only when the process ends."""
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    stream = ctypes.c_void_p(libc.fopen(f"{note}.native".encode(), b"w"))
    libc.fputs(b"flushed", stream)


def ending(note: str, end: Callable[[], None]) -> int:
    """The exit status of a child that ends by `end`, and leaves files that show which handlers ran."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        sys.stderr = sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - for as long as the child lives
        atexit.register(Path(f"{note}.atexit").touch)
        native_end(note)
        end()
        sys.exit(0)
    return ended(child)


def forks_on(note: str, depth: int) -> None:
    """Forks a child that forks a child, and so on; each ends with its own depth, or 99 when the one below did not."""
    below = ending(f"{note}{depth}", lambda: forks_on(note, depth - 1)) if depth else 0
    sys.exit(depth + 1 if below == depth else 99)


def fails() -> None:
    raise RuntimeError("an end that nobody planned")


def works(note: str) -> None:
    Finalize(None, Path(f"{note}.finalized").touch, exitpriority=5)
    sys.exit(4)


def endings_with(folder: str) -> dict[str, object]:
    os.chdir(folder)
    assert process_fork  # imported: its hook runs in every child
    told: dict[str, object] = {"imports": ending("imports", lambda: import_and_fork("imported"))}
    assert "onnxruntime" not in sys.modules
    import_module("onnxruntime")
    told |= {f"exits {code}": ending(f"exits{code}", partial(sys.exit, code)) for code in (0, 1, 3, 255)}
    told |= {"ends": ending("ends", lambda: None), "fails": ending("fails", fails)}
    told["nested"] = ending("nested", lambda: forks_on("nested", DEPTH))
    told["is killed"] = ending("killed", lambda: os.kill(os.getpid(), 9))
    worker = multiprocessing.get_context("fork").Process(target=works, args=("worker",))
    worker.start()
    worker.join(60)
    return {**told, "worker": worker.exitcode, "notes": sorted(path.name for path in Path().iterdir())}


def import_and_fork(note: str) -> None:
    """A child whose parent never had the library."""
    import_module("onnxruntime")
    sys.exit(ending(note, lambda: sys.exit(6)))


def test_every_end_is_soon_and_keeps_its_status(tmp_path: Path) -> None:
    told = outcome_of(endings_with, tmp_path)
    notes = told.pop("notes")
    assert told == {
        "imports": 6,
        **{f"exits {code}": code for code in (0, 1, 3, 255)},
        "ends": 0,
        "fails": 1,
        "nested": DEPTH + 1,
        "is killed": -9,
        "worker": 4,
    }
    ran = ["imports", "imported", "exits0", "exits1", "exits3", "exits255", "ends", "fails", "nested"]
    ran += [f"nested{depth}" for depth in range(1, DEPTH + 1)]
    left = {f"{name}.{way}" for name in ran for way in ("atexit", "native")}
    assert set(notes) == left | {"killed.native", "worker.finalized"}
    # A nested child inherits what its parent has not written yet, and writes it too, as any C program does.
    assert all((tmp_path / f"{name}.native").read_text().startswith("flushed") for name in ran)


def test_without_such_a_library_or_such_a_c_library_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    class Library:
        """A C library that records the calls it gets."""

        def __getattr__(self, name: str) -> Callable[..., None]:
            called.append(name)
            return lambda *_: None

    monkeypatch.setattr(child_exit, "_LIBC", Library())
    monkeypatch.setattr(child_exit, "WAITING_LIBRARIES", ("a library that nobody imports",))
    child_exit.skip_parent_s_exit_handlers()
    monkeypatch.setattr(child_exit, "_LIBC", None)
    monkeypatch.setattr(child_exit, "WAITING_LIBRARIES", ("sys",))
    child_exit.skip_parent_s_exit_handlers()
    assert called == []
