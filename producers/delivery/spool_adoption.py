"""What a dead process left in its spool goes to a living one, which sends it.

1. An orphan of another Kafka is left alone, and one that does not fit now waits.
2. The adopter looks whether the orphan has an owner, by its lock, and counts the events in its files without it.
3. It takes the lock: of several that try, one gets it, and an owner that lives keeps it. A file that is as it was when
   it was counted is moved into the adopter's own directory, with what is damaged in it, by a rename. From another file
   system it is copied, and removed once the copy is on the disk.
4. The lock is released; the directory of a forked child, whose name nobody will use again, is removed.

A process killed between any two of these leaves each file whole, in one of the two directories or, copied, in both,
where the next adopter or owner finds it.
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
    """Takes files over."""

    def has_room(self, size: int) -> bool:
        """Whether a file of `size` bytes fits now."""

    def take_over(self, file: Path, events: int) -> bool:
        """Moves the file, with so many events in it, into its own directory; False when it does not fit any more."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """What was taken over from the spool in `directory`: its events by record."""

    directory: Path
    events: Counter[str]

    @property
    def total(self) -> int:
        """All of them."""
        return self.events.total()


def orphans(home: Path, neighbours: Path | None, own: Path | None) -> Iterator[Path]:
    """Spool directories near `home`, but for `own`: `home` itself, its forked children's, and each neighbour's."""
    homes = {home}
    if neighbours is not None:
        homes |= set(neighbours.glob(f"*/{home.name}"))
    for each in sorted(homes):
        for directory in (each, *sorted((each / FORKED).glob("*"))):
            if directory != own:
                yield directory


def has_files(directory: Path) -> bool:
    """Whether there is something to adopt: events, or a forked child's directory to remove.

    A child locks its new directory before there is a file in it, so that nobody takes an empty one from under it.
    """
    forked = directory.parent.name == FORKED
    return any(file.exists() if forked else size_of(file) for file in spool_files(directory))


def adopt_files(directory: Path, adopter: Adopter) -> Adoption:
    """Hands the orphan's files to the adopter until one does not fit; nothing while an owner lives.

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
    """The orphan's lock; None when somebody else has it."""
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
    """Changes whenever the file does; None when it is gone."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
