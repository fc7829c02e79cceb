"""A child that notices the end of its parent, also when that was killed.

The parent holds the other end of this process' stdin and never writes to it; when the parent is gone, however it went,
the system closes that end. This works on every platform, and where the kernel also sends a signal (PR_SET_PDEATHSIG) it
covers a child whose main thread is stuck.
"""

from __future__ import annotations

import os
import signal
import threading
import time

from trimtab.child_process import GRACE_SECONDS


def end_with_parent(lifeline: int = 0, grace_s: float = GRACE_SECONDS) -> None:
    """From now on: SIGTERM to this process when the pipe `lifeline` closes, and after `grace_s` its end by force."""
    threading.Thread(target=_watch, args=(lifeline, grace_s), name="parent watch", daemon=True).start()


def _watch(lifeline: int, grace_s: float) -> None:
    while _open(lifeline):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_s)
    os._exit(1)


def _open(lifeline: int) -> bool:
    """Waits until the pipe has something to say; False when it is closed."""
    try:
        return bool(os.read(lifeline, 1))
    except OSError:
        return False
