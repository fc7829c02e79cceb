"""Renews objects in a forked child.

A fork copies all memory but only the thread that forks. Locks that another thread held stay locked, and a client
library in C waits for threads that no longer exist. An object with locks, threads, files or connections registers here
and replaces or drops them in the child.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from typing import Protocol
from weakref import WeakSet

from event_schemas.child_exit import skip_parent_s_exit_handlers


class Forkable(Protocol):
    """An object with locks, threads, files or connections that a child must not share."""

    def after_fork(self) -> None:
        """Runs in the child, on its only thread, before anything else does.

        Implementations create new locks and drop threads and connections of the parent; the child opens its own on
        first use. They must be quick: this also runs in children that never use the object, such as one that is about
        to execute another program.
        """


_alive: WeakSet[Forkable] = WeakSet()


def renew_in_children(owner: Forkable) -> None:
    """Calls `owner.after_fork()` in every child forked from now on, as long as `owner` exists."""
    _alive.add(owner)


def keep_forever(thing: object) -> None:
    """Keeps `thing` from being finalised in this process: its finaliser would wait for threads of the parent."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _renew_all() -> None:
    # The list keeps every owner alive until all are renewed: an owner that drops another must not finalise it.
    for owner in list(_alive):
        with contextlib.suppress(Exception):  # if one fails, the others must still replace the parent's locks
            owner.after_fork()
    skip_parent_s_exit_handlers()


os.register_at_fork(after_in_child=_renew_all)
