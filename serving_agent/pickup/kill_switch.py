"""A file that, while it exists, switches exploration and policies off on this node: no network is needed to stop."""

import threading
from contextlib import suppress
from pathlib import Path

from event_schemas.process_fork import renew_in_children

WATCH_SECONDS = 0.25


class KillSwitch:
    """Watches for a file from a thread of its own, well inside the promised second.

    The request path only reads a flag: a file system that hangs must not hang a decision. Until `start` the switch
    stands as the file stood when it was made. A forked child begins to watch anew when it first asks.
    """

    def __init__(self, file: Path | None, *, initially: bool = False) -> None:
        """`initially` kills from the start, whatever the file says, until the process ends."""
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
        """Begin to watch; without a file there is nothing to do."""
        if self._file is not None and self._thread is None:
            thread = threading.Thread(target=self._watch, name="trimtab-kill-switch", daemon=True)
            thread.start()
            self._thread = thread
        self._asleep = False

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)

    def after_fork(self) -> None:
        """The thread that watches is the parent's."""
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
            # A path that cannot be looked at says nothing; keep what was last known.
            return self._pulled
