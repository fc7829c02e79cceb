"""Lets one process at a time use a directory, by a `flock` that ends with the process.

A forked child inherits the open file and with it the lock, which would then outlive the owner, so the child closes it.
For that it must know every open lock; a fork therefore waits until no other thread is opening or closing one.

TrimtabError
└── DirectoryTaken   another process holds the lock
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from pathlib import Path

from event_schemas.errors import TrimtabError
from event_schemas.process_fork import renew_in_children

POLL_SECONDS = 0.02
_opening = threading.RLock()  # held during a fork; reentrant, because `release` acquires it again in the child
os.register_at_fork(before=_opening.acquire, after_in_parent=_opening.release, after_in_child=_opening.release)


class DirectoryTaken(TrimtabError):
    """Another process holds the lock."""


class DirectoryLock:
    """Holds the lock on `file` from its creation until `release`, or until the process ends.

    Waits up to `wait_s` seconds for another owner to release it. Raises DirectoryTaken, or OSError if the file cannot
    be opened, for example because the directory does not exist.
    """

    def __init__(self, file: Path, wait_s: float = 0.0) -> None:
        self._file = file
        self._descriptor = -1
        renew_in_children(self)
        deadline = time.monotonic() + wait_s
        while not self._acquire():
            if time.monotonic() >= deadline:
                raise DirectoryTaken(
                    f"{file.parent} belongs to another process", fix="give each process its own directory"
                )
            time.sleep(POLL_SECONDS)

    @property
    def held(self) -> bool:
        """Whether this process holds the lock; a forked child of the owner does not."""
        return self._descriptor >= 0

    def release(self) -> None:
        """Releases the lock for the next process; calling it again does nothing."""
        with _opening:
            descriptor, self._descriptor = self._descriptor, -1
            if descriptor >= 0:
                os.close(descriptor)

    def remove(self) -> None:
        """Releases the lock and removes its file, so that the directory can be removed too."""
        if self.held:
            with contextlib.suppress(FileNotFoundError):
                self._file.unlink()
        self.release()

    def after_fork(self) -> None:
        """Closes the inherited file; the lock stays with the parent."""
        self.release()

    def _acquire(self) -> bool:
        """Whether we now hold the lock, on the file that has this name now and not on one removed in the meantime."""
        with _opening:
            self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(self._descriptor), self._file.stat()):
                return True
        except (BlockingIOError, FileNotFoundError):
            pass
        except OSError:
            self.release()
            raise
        self.release()
        return False
