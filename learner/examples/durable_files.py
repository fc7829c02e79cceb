"""Files that are there completely or not at all, also after a power cut or on a full disk."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from event_schemas.directory_sync import replace_file
from learner.examples.learner_errors import StoreUnwritable


def write_durably(path: Path, content: bytes) -> None:
    """Replace `path` by `content` atomically: written beside it, synced, renamed, directory synced.

    Raises StoreUnwritable; `path` is as it was then.
    """
    beside = path.with_name(path.name + ".tmp")
    with writing(beside):
        replace_file(path, content, beside)


@contextmanager
def writing(unfinished: Path, faults: tuple[type[Exception], ...] = (OSError,)) -> Iterator[None]:
    """Around the writing of a file: a fault of the disk removes what is unfinished and becomes StoreUnwritable.

    `faults` are the exceptions with which whoever writes reports such a fault.
    """
    try:
        yield
    except faults as fault:
        refused = unwritable(unfinished, fault)  # tells the room before the unfinished file goes
        with suppress(OSError):
            unfinished.unlink()
        raise refused from fault


def unwritable(path: Path, fault: Exception) -> StoreUnwritable:
    """The error for a disk that does not take `path`, told by `fault`."""
    reason, free = getattr(fault, "strerror", None) or str(fault), ""
    with suppress(OSError):
        free = f" ({shutil.disk_usage(path.parent).free:,} bytes free on its disk)"
    return StoreUnwritable(
        f"{path}: cannot be written: {reason}{free}",
        fix="make room on that disk, or see why it refuses, and start again: what is committed there is whole",
    )
