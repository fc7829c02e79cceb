"""Moves the spool that a dead process left (an orphan) to a live process, which sends it.

1. An orphan of another Kafka is left alone, and one that does not fit now waits.
2. The adopter checks by the orphan's lock that it has no owner, releases the lock, and counts the events in its files.
3. It takes the lock again: of several adopters one gets it, and a live owner keeps it. If a file has not changed since
   it was counted, it is renamed into the adopter's own directory, including damaged parts. From another file system it
   is copied, and removed once the copy is on disk.
4. The lock is released; the directory of a forked child is removed, because its name is never used again.

A process killed between any two of these steps leaves each file whole, in one of the two directories or, copied, in
both, where the next adopter or owner finds it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from event_schemas.directory_lock import DirectoryLock, DirectoryTaken
from producers.delivery.spool_damage import survey
from producers.delivery.spool_directory import remove_directory
from producers.delivery.spool_files import FORKED, LOCK, size_of, spool_files


class Adopter(Protocol):
    """Takes over files of orphans."""

    def has_room(self, size: int) -> bool:
        """Whether a file of `size` bytes fits now."""

    def take_over(self, file: Path, events: int) -> bool:
        """Moves the file, which contains `events` events, into its own directory; False when it no longer fits."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """The events taken over from the spool in `directory`, by record."""

    directory: Path
    events: Counter[str]

    @property
    def total(self) -> int:
        """The number of events taken over."""
        return self.events.total()


def orphans(home: Path, neighbours: Path | None, own: Path | None) -> Iterator[Path]:
    """Spool directories near `home`, except `own`: `home` itself, its forked children's, and each neighbour's."""
    homes = {home}
    if neighbours is not None:
        homes |= set(neighbours.glob(f"*/{home.name}"))
    for each in sorted(homes):
        for directory in (each, *sorted((each / FORKED).glob("*"))):
            if directory != own:
                yield directory


def has_files(directory: Path) -> bool:
    """Whether there is something to adopt: events, or a forked child's directory to remove.

    A child's directory has no file until the child has locked it, so a directory without files is left alone.
    """
    forked = directory.parent.name == FORKED
    return any(file.exists() if forked else size_of(file) for file in spool_files(directory))


def adopt_files(directory: Path, adopter: Adopter) -> Adoption:
    """Hands the orphan's files to the adopter until one does not fit; does nothing while its owner is alive.

    Raises OSError for a directory that cannot be read or written.
    """
    adopted: Counter[str] = Counter()
    for file in spool_files(directory):
        if not (size := size_of(file)):
            continue
        if not adopter.has_room(size) or _is_owned(directory):
            return Adoption(directory, adopted)
        before, events = _version(file), survey(file)
        with _owning(directory) as lock:
            if lock is None or _version(file) != before or not adopter.take_over(file, events.total()):
                return Adoption(directory, adopted)
        adopted += events
    if directory.parent.name == FORKED:
        with _owning(directory) as lock:
            if lock is not None and not any(map(size_of, spool_files(directory))):
                remove_directory(directory, lock)
    return Adoption(directory, adopted)


@contextmanager
def _owning(directory: Path) -> Iterator[DirectoryLock | None]:
    """The orphan's lock; None when another process has it."""
    try:
        lock = DirectoryLock(directory / LOCK)
    except DirectoryTaken:
        yield None
        return
    try:
        yield lock
    finally:
        lock.release()


def _is_owned(directory: Path) -> bool:
    with _owning(directory) as lock:
        return lock is None


def _version(file: Path) -> tuple[int, int, int] | None:
    """A value that changes whenever the file does; None when the file is gone."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
