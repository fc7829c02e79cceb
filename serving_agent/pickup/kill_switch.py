"""The kill file: while it exists, exploration and policies are off on this node. Works without a network."""

import threading
from contextlib import suppress
from pathlib import Path

from event_schemas.process_fork import renew_in_children

WATCH_SECONDS = 0.25


class KillSwitch:
    """Watches for a file on a separate thread, and notices it well within the promised second.

    The request path only reads a flag: a file system that hangs must not block a decision. Until `start`, the switch
    keeps the state that the file had when the switch was made. A forked child starts its own watch when it first reads
    the switch.
    """

    def __init__(self, file: Path | None, *, initially: bool = False) -> None:
        """`initially` keeps the switch on until the process ends, whether the file exists or not."""
        self._file = file
        self._forced = initially
        self._pulled = initially
        self._pulled = self._look()
        self._asleep = False
        self._waking = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        renew_in_children(self)

    @property
    def pulled(self) -> bool:
        """Whether exploration and policies are off."""
        if self._asleep:
            self._wake()
        return self._pulled

    def start(self) -> None:
        """Starts to watch; does nothing without a file."""
        if self._file is not None and self._thread is None:
            thread = threading.Thread(target=self._watch, name="trimtab-kill-switch", daemon=True)
            thread.start()
            self._thread = thread
        self._asleep = False

    def close(self) -> None:
        """Stops watching."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)

    def after_fork(self) -> None:
        """Leaves the watching thread to the parent."""
        watching = self._thread is not None or self._asleep
        self._asleep = watching and not self._stop.is_set()
        self._waking, self._stop, self._thread = threading.Lock(), threading.Event(), None

    def _wake(self) -> None:
        with self._waking:
            if self._asleep:
                with suppress(RuntimeError):  # no more threads now; the next decision tries again
                    self.start()

    def _watch(self) -> None:
        while not self._stop.is_set():
            self._pulled = self._look()
            self._stop.wait(WATCH_SECONDS)

    def _look(self) -> bool:
        if self._forced:
            return True
        try:
            return self._file is not None and self._file.exists()
        except OSError:
            # If the path cannot be checked, the last known state stays.
            return self._pulled
