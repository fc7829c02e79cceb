"""Writes files that exist completely or not at all, even after a power failure or on a full disk."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from event_schemas.directory_sync import replace_file
from learner.examples.learner_errors import StoreUnwritable


def write_durably(path: Path, content: bytes) -> None:
    """Replace the content of `path` atomically: write a temporary file, sync it, rename it, sync the directory.

    Raises StoreUnwritable; `path` is unchanged then.
    """
    beside = path.with_name(path.name + ".tmp")
    with writing(beside):
        replace_file(path, content, beside)


@contextmanager
def writing(unfinished: Path, faults: tuple[type[Exception], ...] = (OSError,)) -> Iterator[None]:
    """Wraps the writing of a file: a disk error deletes the unfinished file and is raised as StoreUnwritable.

    `faults` are the exception types by which the writing code reports disk errors.
    """
    try:
        yield
    except faults as fault:
        refused = unwritable(unfinished, fault)  # reports the free space before the unfinished file is deleted
        with suppress(OSError):
            unfinished.unlink()
        raise refused from fault


def unwritable(path: Path, fault: Exception) -> StoreUnwritable:
    """The error for a file at `path` that could not be written because of `fault`."""
    reason, free = getattr(fault, "strerror", None) or str(fault), ""
    with suppress(OSError):
        free = f" ({shutil.disk_usage(path.parent).free:,} bytes free on its disk)"
    return StoreUnwritable(
        f"{path}: cannot be written: {reason}{free}",
        fix="make room on that disk, or find out why it refuses, and start again: committed data is intact",
    )
