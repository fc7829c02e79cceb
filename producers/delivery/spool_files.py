"""The files in a spool's directory: their names, and how they move to another one."""

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
"""What Kafka has refused for too long: in the format of the others, and never sent from there."""
FORKED = "forked"
"""The folder, inside a spool's directory, of spools that nobody will open by their name: those of forked children, and
what belongs to another Kafka."""
DRAFTS = ("outgoing.spool.new", "adopted.new", "origin.json.new")
"""Files that a killed process may leave unfinished."""
COPY_BYTES = MEBIBYTE


def spool_files(directory: Path) -> list[Path]:
    """The files to be sent, in the order in which they are; some may not exist."""
    return [directory / OUTGOING, *sorted(directory.glob(ADOPTED)), directory / INCOMING]


def size_of(file: Path) -> int:
    """Its bytes, none when there is no such file."""
    return file.stat().st_size if file.exists() else 0


def next_file(directory: Path, kind: str) -> Path:
    """The name of the next `<kind>-<number>.spool`, after those in the directory."""
    found = [path.stem.removeprefix(f"{kind}-") for path in directory.glob(f"{kind}-*.spool")]
    number = max((int(each) for each in found if each.isdecimal()), default=0) + 1
    return directory / f"{kind}-{number:08d}.spool"


def append_durably(file: Path, content: bytes) -> None:
    """Adds to a file, which is made where there is none, and waits for the disk. Raises OSError."""
    with file.open("ab") as kept:
        kept.write(content)
        kept.flush()
        os.fsync(kept.fileno())


def move(file: Path, target: Path) -> None:
    """Renames a file, or copies it from another file system and removes it once the copy is on the disk.

    A process that is killed meanwhile leaves it in one place or in both. Raises OSError, and then it is where it was.
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
