"""Makes files and directory entries survive a power failure."""

from __future__ import annotations

import os
from pathlib import Path


def sync_directory(directory: Path) -> None:
    """Make renames, new names and removed names inside `directory` durable; raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(file: Path) -> None:
    """Flush the content of a finished file to the disk; raises OSError."""
    with file.open("rb") as handle:
        os.fsync(handle.fileno())


def publish(draft: Path, path: Path) -> None:
    """Rename a finished file or directory to its final name, durably; raises OSError."""
    draft.replace(path)
    sync_directory(path.parent)


def replace_file(file: Path, content: bytes, draft: Path) -> None:
    """Replace a file atomically: a crash or a power failure leaves either the old or the new content. Raises OSError.

    The content is first written to `draft`, in the same directory; a crash may leave an unfinished draft behind.
    """
    with draft.open("wb") as sink:
        sink.write(content)
        sink.flush()
        os.fsync(sink.fileno())
    publish(draft, file)
