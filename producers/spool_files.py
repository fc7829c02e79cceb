"""The names of the files in a spool's directory."""

from __future__ import annotations

from pathlib import Path

LOCK = "lock"
INCOMING, OUTGOING, ADOPTED = "incoming.spool", "outgoing.spool", "adopted-*.spool"
UNDELIVERABLE = "undeliverable.spool"
"""What Kafka has refused for too long: in the format of the others, and never sent from there."""
FORKED = "forked"
"""The folder, inside a spool's directory, of the spools of forked children."""


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
