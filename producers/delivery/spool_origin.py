"""Which Kafka and topic prefix the events of a spool are for: `origin.json` in its directory.

Nodes of several Kafka clusters, such as production and staging, may share a data directory. Only a node with the same
Kafka and topic prefix adopts a spool. Two Kafkas count as the same when their cluster ids or their addresses are equal:
brokers that were set up again under their old addresses get the events meant for them. An unknown value matches
everything: an owner that no broker ever answered does not know its cluster, and may have had a wrong address; version
0.1.0 wrote no origin.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from event_schemas.directory_sync import replace_file

ORIGIN = "origin.json"


@dataclass(frozen=True, slots=True)
class SpoolOrigin:
    """The origin of a spool; `cluster` is None until it is known, `prefix` when the owner gave none."""

    cluster: str | None = None
    prefix: str | None = None
    bootstrap: str | None = None

    def takes(self, other: SpoolOrigin | None) -> bool:
        """Whether a process of this origin may send the events in a spool of the other; None stands for 0.1.0."""
        if other is None:
            return True
        return (self.prefix == other.prefix or None in (self.prefix, other.prefix)) and self.same_kafka(other)

    def same_kafka(self, other: SpoolOrigin) -> bool:
        """Whether events meant for the other's brokers may go to these."""
        same_addresses = other.bootstrap is not None and other.bootstrap == self.bootstrap
        return other.cluster in (None, self.cluster) or same_addresses


def read_origin(directory: Path) -> SpoolOrigin | None:
    """The origin of a spool; None when it has no origin file. Raises OSError, also for a damaged file."""
    file = directory / ORIGIN
    try:
        told = json.loads(file.read_bytes())
        origin = SpoolOrigin(**told)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, RecursionError) as damaged:
        raise OSError(f"{file} contains no valid origin: {damaged}") from damaged
    if not all(value is None or isinstance(value, str) for value in asdict(origin).values()):
        raise OSError(f"{file} contains no valid origin")
    return origin


def write_origin(directory: Path, origin: SpoolOrigin) -> None:
    """Writes the origin atomically. Raises OSError."""
    replace_file(directory / ORIGIN, json.dumps(asdict(origin)).encode(), directory / f"{ORIGIN}.new")
