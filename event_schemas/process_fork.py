"""What a forked child makes anew.

A fork copies memory, but only the thread that forks; locks stay as they happened to be, and a client in C keeps waiting
for threads that are not there. Whoever holds such things registers here and gives them up in the child.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from typing import Protocol
from weakref import WeakSet

from event_schemas.child_exit import skip_parent_s_exit_handlers


class Forkable(Protocol):
    """Holds locks, threads, files or connections that a child must not share."""

    def after_fork(self) -> None:
        """Runs in the child, on its only thread, before anything else does.

        It makes locks anew and lets go of what is the parent's, and must be quick: children that never use the object
        come here too, such as one that is about to become another program. Threads and connections are opened on first
        use.
        """


_alive: WeakSet[Forkable] = WeakSet()


def renew_in_children(owner: Forkable) -> None:
    """Calls `owner.after_fork()` in every child forked from now on, for as long as `owner` lives."""
    _alive.add(owner)


def keep_forever(thing: object) -> None:
    """Never finalises `thing` in this process: its finaliser would wait for threads of the parent."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _renew_all() -> None:
    # The list keeps every owner alive until all had their turn: one that lets go of another must not finalise it.
    for owner in list(_alive):
        with contextlib.suppress(Exception):  # one that fails must not leave the others with the parent's locks
            owner.after_fork()
    skip_parent_s_exit_handlers()


os.register_at_fork(after_in_child=_renew_all)
