"""What a serving node of an installation is called, and the folder that goes by its name."""

from __future__ import annotations

import re
from pathlib import Path

from event_schemas.directory_lock import DirectoryLock, DirectoryTaken
from event_schemas.errors import SettingError
from event_schemas.experiment import Experiment
from trimtab.settings import Settings

LOCK = "node.lock"
"""Held by the process that has this name."""


def require_node_id(name: str) -> str:
    """The name, which is also that of a folder and of a Redis key; raises SettingError."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", name):
        raise SettingError(
            f"node id {name!r} is not usable", fix="use letters, digits, '.', '_' and '-', at most 128 of them"
        )
    return name


def nodes_folder(settings: Settings, experiment: Experiment) -> Path:
    """The folder of an experiment's nodes; each has one of its own in it, by its name."""
    return settings.data_dir / "serving" / experiment.name


def take_free_name(nodes: Path, host: str) -> tuple[str, DirectoryLock]:
    """The first free name of `<host>`, `<host>-2`, `<host>-3`, …, and the lock by which it is this process's.

    So the workers of one server have names of their own, and the same names after the next start. Raises SettingError
    for a host whose name is not usable, and where the folder cannot be written.
    """
    name, number = require_node_id(host), 1
    while True:
        try:
            return name, _lock(nodes / name)
        except DirectoryTaken:
            number += 1
            name = f"{host}-{number}"
        except OSError as refused:
            raise SettingError(
                f"{nodes / name} cannot be written: {refused.strerror}",
                fix="set TRIMTAB_DATA_DIR to a writable directory",
            ) from refused


def hold_name(nodes: Path, name: str) -> DirectoryLock | None:
    """The lock by which nobody else takes a name that was given as free.

    None if another process holds it or the folder cannot be written: the spool in it waits, and reports both.
    """
    try:
        return _lock(nodes / name)
    except (DirectoryTaken, OSError):
        return None


def _lock(folder: Path) -> DirectoryLock:
    folder.mkdir(parents=True, exist_ok=True)
    return DirectoryLock(folder / LOCK)
