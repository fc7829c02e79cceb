"""One process at a time in a directory, by a `flock` that ends with its owner.

A forked child inherits the open file and with it the lock, which would outlive the owner; so a child closes it. It must
know of each, also when another thread was about to open or to close one: a fork waits for that.

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
_opening = threading.RLock()  # held over the fork, and taken again by those who let go of a lock in the child
os.register_at_fork(before=_opening.acquire, after_in_parent=_opening.release, after_in_child=_opening.release)


class DirectoryTaken(TrimtabError):
    """Another process holds the lock."""


class DirectoryLock:
    """Holds the lock on `file` from its creation until `release`, or until the process ends.

    With `wait_s` it waits so many seconds for another owner to let go. Raises DirectoryTaken, and OSError where the
    file cannot be opened, such as in a directory that does not exist.
    """

    def __init__(self, file: Path, wait_s: float = 0.0) -> None:
        self._file = file
        self._descriptor = -1
        renew_in_children(self)
        deadline = time.monotonic() + wait_s
        while not self._acquire():
            if time.monotonic() >= deadline:
                raise DirectoryTaken(f"{file.parent} belongs to another process", fix="give each process its own")
            time.sleep(POLL_SECONDS)

    @property
    def held(self) -> bool:
        """Whether this process holds the lock; a forked child of the owner does not."""
        return self._descriptor >= 0

    def release(self) -> None:
        """Lets the next process in; safe to repeat."""
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
        """The lock stays the parent's."""
        self.release()

    def _acquire(self) -> bool:
        """Whether the lock is ours now: that of the file that is there, not of one that was removed meanwhile."""
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
