"""The exploration settings that rows were drawn with, kept on disk: each under its digest, in a file of its own.

A file is written completely or not at all, and never changed: its content is what its name says. So a kill at any
moment leaves only sound files and an unfinished one, which nobody reads and the next writing replaces.
"""

from pathlib import Path

import structlog

from event_schemas.errors import MalformedRecord
from event_schemas.exploration import ExplorationSettings
from learner.examples.durable_files import unwritable, write_durably

log = structlog.get_logger(__name__)


class ExplorationShelf:
    """The settings in one directory; one process writes to it, any number read."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def save(self, settings: ExplorationSettings) -> None:
        """Store settings durably, unless a sound file of them is there; a damaged one is replaced.

        Raises StoreUnwritable.
        """
        path = self._directory / f"{settings.digest}.json"
        if _read(path) == settings:
            return
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise unwritable(path, fault) from fault
        write_durably(path, settings.text.encode())

    def load(self) -> dict[str, ExplorationSettings]:
        """All settings by digest. A damaged file is named in the log and left out: its rows count as of unknown
        settings until the topic is read again."""
        found = {}
        for path in sorted(self._directory.glob("*.json")):
            settings = _read(path)
            if settings is None:
                log.warning("exploration settings left out: their file is damaged", file=str(path))
            else:
                found[settings.digest] = settings
        return found


def _read(path: Path) -> ExplorationSettings | None:
    """The settings in a file; None if it is absent, damaged or not what its name says."""
    try:
        return ExplorationSettings.parse(path.stem, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, MalformedRecord):
        return None
