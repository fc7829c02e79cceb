"""How a forked child ends when its parent had loaded a library whose exit handlers wait for the library's threads.

ONNX Runtime starts threads when it is imported. A forked child has the library and not the threads, so the handlers
that the C library calls at the end of the process wait for ever, or crash. They are of no use in the child: all that
they release is released with the process. So the child ends before they run, after everything of Python (`atexit`, the
finalizers of `multiprocessing`, files that Python writes) and after C's streams are flushed, with its own exit status.

Handlers that the child registers after the fork run as ever, since the C library calls the newest first. A library that
only the child imports has its threads there.
"""

from __future__ import annotations

import ctypes
import sys

WAITING_LIBRARIES = ("onnxruntime",)
"""Modules whose native exit handlers wait for threads that importing them started."""


def _libc() -> ctypes.CDLL | None:
    """The C library, where it can end a process with its status from an exit handler: glibc. Others have no `on_exit`.

    Looked up once, and not in a child.
    """
    try:
        library = ctypes.CDLL(None)
        for name in ("on_exit", "_exit", "__cxa_atexit", "fflush"):
            getattr(library, name)
    except (OSError, AttributeError, TypeError):
        return None
    return library


_LIBC = _libc()


def skip_parent_s_exit_handlers() -> None:
    """To be called in a child right after the fork: the native exit handlers of the parent will not run in it.

    Does nothing unless the parent had loaded one of WAITING_LIBRARIES.
    """
    if _LIBC is None or not any(name in sys.modules for name in WAITING_LIBRARIES):
        return
    # Called in the reverse order: first fflush(NULL), then _exit(status, NULL), which takes the status and ends.
    _LIBC.on_exit(_LIBC._exit, None)
    _LIBC.__cxa_atexit(_LIBC.fflush, None, None)
