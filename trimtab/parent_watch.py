"""Ends a child process when its parent ends, even if the parent was killed.

The parent has the other end of this process's stdin and never writes to it. When the parent ends, for any reason, the
system closes that end. This works on every platform. Where the kernel also sends a signal (PR_SET_PDEATHSIG), it still
ends a child whose main thread is stuck.
"""

from __future__ import annotations

import os
import signal
import threading
import time

from trimtab.child_process import GRACE_SECONDS


def end_with_parent(lifeline: int = 0, grace_s: float = GRACE_SECONDS) -> None:
    """Sends SIGTERM to this process once the pipe `lifeline` closes, and exits by force after `grace_s`."""
    threading.Thread(target=_watch, args=(lifeline, grace_s), name="parent watch", daemon=True).start()


def _watch(lifeline: int, grace_s: float) -> None:
    while _open(lifeline):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_s)
    os._exit(1)


def _open(lifeline: int) -> bool:
    """Waits until the pipe has data or closes; returns False when it is closed."""
    try:
        return bool(os.read(lifeline, 1))
    except OSError:
        return False
