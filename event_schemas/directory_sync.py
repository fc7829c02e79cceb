"""Files and names in a directory that outlast a power failure."""

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


def replace_file(file: Path, content: bytes, draft: Path) -> None:
    """Replace a file in one step: a crash or a power failure leaves the old or the new one. Raises OSError.

    `draft`, beside it, is what a crash may leave unfinished.
    """
    with draft.open("wb") as sink:
        sink.write(content)
        sink.flush()
        os.fsync(sink.fileno())
    draft.replace(file)
    sync_directory(file.parent)
