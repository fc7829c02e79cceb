"""A file that, while it exists, switches exploration and policies off on this node: no network is needed to stop."""

import threading
from pathlib import Path

WATCH_SECONDS = 0.25


class KillSwitch:
    """Watches for a file from a thread of its own, well inside the promised second.

    The request path only reads a flag: a file system that hangs must not hang a decision. Until `start` the switch
    stands as the file stood when it was made.
    """

    def __init__(self, file: Path | None, *, initially: bool = False) -> None:
        """`initially` kills from the start, whatever the file says, until the process ends."""
        self._file = file
        self._forced = initially
        self._pulled = initially
        self._pulled = self._look()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def pulled(self) -> bool:
        """Whether exploration and policies are off."""
        return self._pulled

    def start(self) -> None:
        """Begin to watch; without a file there is nothing to do."""
        if self._file is not None and self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="trimtab-kill-switch", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)

    def _watch(self) -> None:
        while not self._stop.wait(WATCH_SECONDS):
            self._pulled = self._look()

    def _look(self) -> bool:
        if self._forced:
            return True
        try:
            return self._file is not None and self._file.exists()
        except OSError:
            # A path that cannot be looked at says nothing; keep what was last known.
            return self._pulled
