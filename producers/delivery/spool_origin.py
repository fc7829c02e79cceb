"""Where the events of a spool belong: `origin.json` beside them.

A data directory may be seen by nodes of several Kafka clusters, such as production and staging. Only a node of the same
Kafka and topic prefix adopts a spool. A Kafka is the same when its cluster's id is, whatever the addresses, or when the
addresses are: brokers that were set up anew take what was meant for them. What is not known excludes nobody. An owner
that no broker ever answered knows of no cluster, and its addresses may have been wrong; one of 0.1.0 says nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from event_schemas.directory_sync import replace_file

ORIGIN = "origin.json"


@dataclass(frozen=True, slots=True)
class SpoolOrigin:
    """`cluster` is None until it is known, `prefix` when its owner names none."""

    cluster: str | None = None
    prefix: str | None = None
    bootstrap: str | None = None

    def takes(self, other: SpoolOrigin | None) -> bool:
        """Whether a process of this origin may send what a spool of the other holds; None is one of 0.1.0."""
        if other is None:
            return True
        return (self.prefix == other.prefix or None in (self.prefix, other.prefix)) and self.same_kafka(other)

    def same_kafka(self, other: SpoolOrigin) -> bool:
        """Whether what was meant for the other's brokers may go to these."""
        same_addresses = other.bootstrap is not None and other.bootstrap == self.bootstrap
        return other.cluster in (None, self.cluster) or same_addresses


def read_origin(directory: Path) -> SpoolOrigin | None:
    """The origin of a spool; None when it does not say. Raises OSError, also for a file that is damaged."""
    file = directory / ORIGIN
    try:
        told = json.loads(file.read_bytes())
        origin = SpoolOrigin(**told)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, RecursionError) as damaged:
        raise OSError(f"{file} does not say where the spool belongs: {damaged}") from damaged
    if not all(value is None or isinstance(value, str) for value in asdict(origin).values()):
        raise OSError(f"{file} does not say where the spool belongs")
    return origin


def write_origin(directory: Path, origin: SpoolOrigin) -> None:
    """Writes the origin in one step. Raises OSError."""
    replace_file(directory / ORIGIN, json.dumps(asdict(origin)).encode(), directory / f"{ORIGIN}.new")
