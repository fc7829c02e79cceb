"""Child processes that never outlive their parent.

Each child leads its own process group. So Ctrl-C reaches only the parent, which then stops the children one by one, and
stopping a child also stops every process it started. On Linux the kernel also ends a child whose parent was killed
(PR_SET_PDEATHSIG); for this, children must be spawned from a thread that lives as long as they do.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1
STOP_SECONDS = 10.0
GRACE_SECONDS = 40.0
"""How long a worker may take to stop: the join drains for 15 s and leaves its group."""


def spawn(
    command: Sequence[str],
    *,
    log: Path | None = None,
    output: Path | None = None,
    env: Mapping[str, str] | None = None,
    lifeline: bool = False,
) -> subprocess.Popen[bytes]:
    """Starts `command` with stderr appended to `log`, and stdout to `output` if it is given, else to `log`.

    Without a log the child writes to the parent's streams. With `lifeline` its stdin is a pipe that closes when the
    parent ends for any reason (see `parent_watch`). Raises OSError when the command cannot be started.
    """
    with ExitStack() as files:
        errors = None if log is None else files.enter_context(log.open("ab"))
        printed = errors if output is None else files.enter_context(output.open("ab"))
        return subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE if lifeline else subprocess.DEVNULL,
            stdout=printed,
            stderr=errors,
            env=None if env is None else dict(env),
            start_new_session=True,
            preexec_fn=_die_with_parent(),
        )


def stop(process: subprocess.Popen[bytes], grace_s: float = STOP_SECONDS) -> int:
    """Ends the child and its group with SIGTERM, and after `grace_s` with SIGKILL. Safe to repeat.

    Returns the exit status.
    """
    if process.poll() is None:
        _signal_group(process, signal.SIGTERM)
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            _signal_group(process, signal.SIGKILL)
            process.wait()
    _signal_group(process, signal.SIGKILL)
    return process.returncode


def stop_together(processes: Sequence[subprocess.Popen[bytes]], grace_s: float = STOP_SECONDS) -> list[int]:
    """Ends several children at once, as `stop` ends one; they share the `grace_s`."""
    for process in processes:
        if process.poll() is None:
            _signal_group(process, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
    return [stop(process, 0.0) for process in processes]


def tail(log: Path, lines: int = 8) -> str:
    """The last lines of a child's log, for an error message; empty when there is no log."""
    if not log.exists():
        return ""
    text = log.read_bytes()[-8192:].decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _die_with_parent() -> Callable[[], None] | None:
    """The function that a child runs before its program starts; it uses a library loaded before the fork."""
    if not sys.platform.startswith("linux"):
        return None
    libc, parent = ctypes.CDLL(None, use_errno=True), os.getpid()

    def arm() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return arm
