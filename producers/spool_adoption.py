"""What a dead process left in its spool goes to a living one, which sends it.

1. The adopter takes the orphan's lock: of several that try, one gets it, and an owner that lives keeps it.
2. Each file is moved into the adopter's own directory by a rename, with what is damaged in it.
3. The lock is released; the directory of a forked child, whose name nobody will use again, is removed.

A process killed between any two of these leaves each file whole, in one of the two directories, where the next adopter
or owner finds it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from producers.directory_lock import DirectoryLock, DirectoryTaken
from producers.spool_damage import survey
from producers.spool_directory import remove_directory
from producers.spool_files import FORKED, LOCK, size_of, spool_files


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


def adopt_files(directory: Path, take_over: Callable[[Path, int], bool]) -> Adoption:
    """Hands the orphan's files to `take_over(file, events in it)` until that says False; nothing while an owner lives.

    Raises OSError for a directory that cannot be read or written.
    """
    adopted: Counter[str] = Counter()
    forked = directory.parent.name == FORKED
    # A child locks its new directory before there is a file in it, so that nobody takes an empty one from under it.
    if not any(file.exists() if forked else size_of(file) for file in spool_files(directory)):
        return Adoption(directory, adopted)
    try:
        lock = DirectoryLock(directory / LOCK)
    except DirectoryTaken:
        return Adoption(directory, adopted)
    try:
        for file in spool_files(directory):
            if not size_of(file):
                continue
            events = survey(file)
            if not take_over(file, events.total()):
                break
            adopted += events
        if forked and not any(map(size_of, spool_files(directory))):
            remove_directory(directory, lock)
    finally:
        lock.release()
    return Adoption(directory, adopted)
