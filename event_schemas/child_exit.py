"""How a forked child exits when its parent had loaded a library whose exit handlers wait for the library's threads.

ONNX Runtime starts threads when it is imported. A forked child inherits the library but not the threads, so the exit
handlers that the C library runs at the end of the process hang or crash. The child does not need them: the operating
system frees everything they would release. The child therefore ends before they run, with its own exit status. By then
Python has shut down (`atexit`, the finalizers of `multiprocessing`, open files) and C's streams have been flushed.

Handlers that the child registers after the fork still run, because the C library calls the newest first. A library
that only the child imports is not affected: its threads run in the child.
"""

from __future__ import annotations

import ctypes
import sys

WAITING_LIBRARIES = ("onnxruntime",)
"""Modules whose native exit handlers wait for threads that importing them started."""


def _libc() -> ctypes.CDLL | None:
    """The C library if it is glibc, whose `on_exit` passes the exit status to a handler; None for other C libraries.

    Looked up once at import, never in a child.
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
    """Keep the parent's native exit handlers from running in this child; call it right after the fork.

    Does nothing unless the parent had loaded one of WAITING_LIBRARIES.
    """
    if _LIBC is None or not any(name in sys.modules for name in WAITING_LIBRARIES):
        return
    # The C library calls these in reverse order: first fflush(NULL), then _exit(status, NULL), which ends the process.
    _LIBC.on_exit(_LIBC._exit, None)
    _LIBC.__cxa_atexit(_LIBC.fflush, None, None)
