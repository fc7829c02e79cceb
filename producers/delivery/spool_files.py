"""The files in a spool's directory: their names, and how they are moved to another directory."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from event_schemas.directory_sync import sync_directory
from event_schemas.units import MEBIBYTE

LOCK = "lock"
INCOMING, OUTGOING, ADOPTED = "incoming.spool", "outgoing.spool", "adopted-*.spool"
UNDELIVERABLE = "undeliverable.spool"
"""Events that Kafka has refused for too long, in the same format; they are never sent from there."""
FORKED = "forked"
"""The folder, inside a spool's directory, of spools that no process opens by name, only by adoption: those of forked
children, and events for another Kafka."""
DRAFTS = ("outgoing.spool.new", "adopted.new", "origin.json.new")
"""Files that a killed process may leave unfinished."""
COPY_BYTES = MEBIBYTE


def spool_files(directory: Path) -> list[Path]:
    """The files to be sent, in the order of sending; some may not exist."""
    return [directory / OUTGOING, *sorted(directory.glob(ADOPTED)), directory / INCOMING]


def size_of(file: Path) -> int:
    """The file's size in bytes; 0 when it does not exist."""
    return file.stat().st_size if file.exists() else 0


def next_file(directory: Path, kind: str) -> Path:
    """The name of the next `<kind>-<number>.spool`, after those in the directory."""
    found = [path.stem.removeprefix(f"{kind}-") for path in directory.glob(f"{kind}-*.spool")]
    number = max((int(each) for each in found if each.isdecimal()), default=0) + 1
    return directory / f"{kind}-{number:08d}.spool"


def append_durably(file: Path, content: bytes) -> None:
    """Appends to a file, creating it if needed, and waits until the data is on disk. Raises OSError."""
    with file.open("ab") as kept:
        kept.write(content)
        kept.flush()
        os.fsync(kept.fileno())


def move(file: Path, target: Path) -> None:
    """Renames a file, or, from another file system, copies it and removes it once the copy is on disk.

    If the process is killed meanwhile, the file is in one place or in both. If it raises OSError, the file has not
    moved.
    """
    try:
        file.rename(target)
    except OSError as refused:
        if refused.errno != errno.EXDEV:
            raise
        _copy(file, target)
        try:
            file.unlink()
        except OSError:
            target.unlink()
            raise
    for directory in (target.parent, file.parent):
        sync_directory(directory)


def _copy(file: Path, target: Path) -> None:
    draft = target.parent / "adopted.new"
    try:
        with file.open("rb") as old, draft.open("wb") as new:
            shutil.copyfileobj(old, new, COPY_BYTES)
            new.flush()
            os.fsync(new.fileno())
        draft.rename(target)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    sync_directory(target.parent)
