"""Child processes that never outlive their parent.

Each child leads its own process group, so that Ctrl-C reaches only the parent, which then stops the children in order,
and so that stopping one takes along whatever it started. On Linux the kernel also ends a child whose parent died
without a word (PR_SET_PDEATHSIG), which is why children must be spawned from a thread that lives as long as they do.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
STOP_SECONDS = 10.0


def spawn(
    command: Sequence[str], *, log: Path, output: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Starts `command` with stderr appended to `log`, and stdout too unless `output` takes it.

    Raises OSError when it cannot be started.
    """
    with log.open("ab") as errors, (output or log).open("ab") as printed:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=errors,
            env=None if env is None else dict(env),
            start_new_session=True,
            preexec_fn=_die_with_parent(),
        )


def stop(process: subprocess.Popen[bytes], grace_s: float = STOP_SECONDS) -> int:
    """Ends the child and its group: SIGTERM, after `grace_s` SIGKILL; returns its exit status. Safe to repeat."""
    if process.poll() is None:
        _signal_group(process, signal.SIGTERM)
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            _signal_group(process, signal.SIGKILL)
            process.wait()
    _signal_group(process, signal.SIGKILL)
    return process.returncode


def tail(log: Path, lines: int = 8) -> str:
    """The last lines of a child's log, for an error message; empty when there is none."""
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
    """What a child runs before its program starts; the library is loaded here, not after the fork."""
    if not sys.platform.startswith("linux"):
        return None
    libc, parent = ctypes.CDLL(None, use_errno=True), os.getpid()

    def arm() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return arm
