"""Files that are there completely or not at all, also after a power cut."""

import os
from pathlib import Path


def write_durably(path: Path, content: bytes) -> None:
    """Replace `path` by `content` atomically: written beside it, synced, renamed, directory synced."""
    beside = path.with_name(path.name + ".tmp")
    with beside.open("wb") as sink:
        sink.write(content)
        sink.flush()
        os.fsync(sink.fileno())
    publish(beside, path)


def publish(beside: Path, path: Path) -> None:
    """Rename a finished file or directory to its final name and make the rename durable."""
    beside.replace(path)
    sync_directory(path.parent)


def sync_file(path: Path) -> None:
    """Flush a finished file's content to the disk."""
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def sync_directory(directory: Path) -> None:
    """Make renames and new names inside `directory` durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
