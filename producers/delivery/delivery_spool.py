"""A bounded spool of events that the broker did not acknowledge, kept on disk until it does.

A spool belongs to one process at a time. What a dead owner left is adopted by a live process: the next owner of the
directory, or a neighbour. A forked child does not share its parent's spool; at its first event it opens its own below
the parent's: `<directory>/forked/<pid>-…`.

TrimtabError
└── SpoolError   the spool's directory cannot be used
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import structlog

from event_schemas.directory_lock import DirectoryTaken
from event_schemas.errors import TrimtabError
from event_schemas.process_fork import renew_in_children
from event_schemas.units import MEBIBYTE
from producers.delivery.log_safely import log_safely
from producers.delivery.outgoing_event import OutgoingEvent
from producers.delivery.spool_adoption import Adoption, adopt_files, has_files, orphans
from producers.delivery.spool_directory import SpoolDirectory
from producers.delivery.spool_files import FORKED
from producers.delivery.spool_origin import SpoolOrigin, read_origin

TAKEN_SECONDS = 30.0
"""How long a new owner waits for the lock: an adopting neighbour holds it while it moves, or copies, a file."""
log = structlog.get_logger(__name__)


class SpoolError(TrimtabError):
    """The spool's directory cannot be used."""


class DeliverySpool:
    """The spool of one process. Thread-safe.

    `max_bytes` bounds all its files together, including adopted ones. `neighbours` is the folder that contains the
    spools of other nodes, as `<neighbours>/<node>/spool`; without it only the spools of forked children of this
    directory's owners are adopted. `topic_prefix` is that of the events: only spools with the same prefix are adopted.
    Raises SpoolError when the directory cannot be written or is in use.
    """

    def __init__(
        self,
        directory: Path,
        max_bytes: int = 64 * MEBIBYTE,
        neighbours: Path | None = None,
        topic_prefix: str | None = None,
    ) -> None:
        self._home = directory
        self._max_bytes = max_bytes
        self._neighbours = neighbours
        self._mutex = threading.Lock()
        self._closed = False
        self._inherited = False
        self._told: set[Path] = set()
        self._origin = SpoolOrigin(prefix=topic_prefix)
        self._files: SpoolDirectory | None = _opened(directory, max_bytes)
        renew_in_children(self)

    @property
    def waiting(self) -> int:
        """Events on disk that the broker has not acknowledged."""
        with self._mutex:
            return 0 if self._files is None else self._files.waiting

    @property
    def empty(self) -> bool:
        """Whether there is nothing on disk, not even damaged bytes that still have to be set aside."""
        with self._mutex:
            return self._files is None or not self._files.size

    def append(self, event: OutgoingEvent) -> bool:
        """Writes the event to disk; False when the spool is full, when the disk refuses, and after `close`."""
        with self._mutex:
            files = self._own_files()
            return files is not None and files.append(event)

    def checkout(self, limit: int) -> list[OutgoingEvent]:
        """The oldest events, at most `limit`; they stay on disk until `finish` settles them."""
        with self._mutex:
            return [] if self._files is None else self._files.checkout(limit)

    def postpone(self, events: Sequence[OutgoingEvent]) -> list[OutgoingEvent]:
        """Moves events of the last `checkout` to the end of the line, so that they do not hold up others.

        The moved events count as settled for `finish`. Returns those that could not be moved.
        """
        with self._mutex:
            return list(events) if self._files is None else self._files.postpone(events)

    def set_aside(self, events: Sequence[OutgoingEvent]) -> list[OutgoingEvent]:
        """Moves events of the last `checkout` to a file that is never sent.

        The moved events count as settled for `finish`. Returns those that could not be moved.
        """
        with self._mutex:
            return list(events) if self._files is None else self._files.set_aside(events)

    def check_in(self, settled: int, undelivered: Sequence[OutgoingEvent]) -> None:
        """Ends the last `checkout`: `settled` events leave the spool, `undelivered` ones stay first in line.

        Raises OSError when the disk fails; then nothing has changed, and the same events are checked out again.
        """
        with self._mutex:
            if self._files is not None:
                self._files.check_in(settled, undelivered)

    def take_damaged(self) -> Counter[str]:
        """Events, by record, that were damaged on disk and set aside unsent; each is reported once."""
        with self._mutex:
            return Counter() if self._files is None else self._files.take_damaged()

    def adopt(self) -> list[Adoption]:
        """Adopts the spools that dead owners left near this one, as far as they fit within the bound.

        An orphan that cannot be read is logged once and skipped; nothing is raised.
        """
        adopted = []
        for directory in orphans(self._home, self._neighbours, self._current()):
            try:
                adoption = self._adopt_from(directory)
            except OSError as fault:
                self._tell_once(directory, "spool cannot be adopted", fault=str(fault))
                continue
            if adoption is not None and adoption.events:
                adopted.append(adoption)
        return adopted

    def announce(self, bootstrap: str) -> None:
        """Notes the brokers' addresses, which identify the Kafka of new events until the cluster's id is known.

        Raises nothing: what fails here is done again by `claim`.
        """
        self._origin = replace(self._origin, bootstrap=bootstrap)
        try:
            with self._mutex:
                if self._files is not None:
                    self._files.announce(self._origin)
        except (OSError, DirectoryTaken) as fault:
            log_safely(log.error, "cannot move aside a spool of another Kafka", path=str(self._home), fault=str(fault))

    def claim(self, cluster: str) -> None:
        """Notes the id of the cluster that events are sent to from now on, and moves aside events for another one.

        Nothing may be sent or adopted before this call. Raises OSError when events cannot be moved aside.
        """
        origin = replace(self._origin, cluster=cluster)
        with self._mutex:
            if self._files is not None:
                self._files.claim(origin)
            self._origin = origin

    @property
    def claimed(self) -> bool:
        """Whether the cluster is known."""
        return self._origin.cluster is not None

    def has_room(self, size: int) -> bool:
        """See Adopter."""
        with self._mutex:
            files = self._own_files()
            return files is not None and files.has_room(size)

    def take_over(self, file: Path, events: int) -> bool:
        """See Adopter."""
        with self._mutex:
            files = self._own_files()
            return files is not None and files.take_over(file, events)

    def close(self) -> None:
        """Closes the files and frees the directory; the next process that opens or adopts it sends its events."""
        with self._mutex:
            self._closed = True
            files, self._files = self._files, None
            if files is None:
                return
            if self._inherited and not files.size:
                files.remove()
            else:
                files.close()

    def after_fork(self) -> None:
        """Leaves the directory to the parent; the child opens its own when it has something to spool."""
        files, self._files = self._files, None
        self._mutex = threading.Lock()
        self._inherited = True
        if files is not None:
            files.leave_to_parent()

    def _current(self) -> Path | None:
        with self._mutex:
            return None if self._files is None else self._files.directory

    def _adopt_from(self, directory: Path) -> Adoption | None:
        """Adopts one orphan; None when it is empty or belongs to another Kafka. Raises OSError."""
        if not has_files(directory):
            return None
        origin = read_origin(directory)
        if not self._origin.takes(origin):
            assert origin is not None
            self._tell_once(directory, "spool left alone: it belongs to another Kafka", **asdict(origin))
            return None
        adoption = adopt_files(directory, self)
        if adoption.events:
            says = "which Kafka it belongs to" if origin is not None else "no origin, as version 0.1.0 wrote none"
            log_safely(log.info, "spool adopted", path=str(directory), events=adoption.total, says=says)
        return adoption

    def _tell_once(self, directory: Path, event: str, **fields: object) -> None:
        if directory not in self._told:
            self._told.add(directory)
            log_safely(log.error, event, path=str(directory), **fields)

    def _own_files(self) -> SpoolDirectory | None:
        """The files of this process. A forked child opens its own on the first call; None if that fails."""
        if self._files is None and self._inherited and not self._closed:
            try:
                parent = self._home / FORKED
                parent.mkdir(exist_ok=True)
                own = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=parent))
                self._files = SpoolDirectory(own, self._max_bytes)
                self._files.announce(self._origin)
            except (OSError, DirectoryTaken) as fault:
                log_safely(
                    log.error, "spool of a forked process cannot be opened", path=str(self._home), fault=str(fault)
                )
        return self._files


def _opened(directory: Path, max_bytes: int) -> SpoolDirectory:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return SpoolDirectory(directory, max_bytes, TAKEN_SECONDS)
    except DirectoryTaken as taken:
        raise SpoolError(f"spool {directory} belongs to another process", fix=taken.fix) from taken
    except OSError as refused:
        raise SpoolError(
            f"spool {directory} cannot be written: {refused}", fix="choose a writable directory"
        ) from refused
