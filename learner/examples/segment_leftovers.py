"""Segment files that the manifest does not name: a kill left them, or the manifest is older than they are, or was lost.

What the opening of the store does with each:

- An unfinished file (`*.parquet.tmp`) is deleted.
- A file whose every row is stored, or too old to be stored, is deleted: it was retired, or merged into another one.
- Any other goes into the folder `damaged`, as `unnamed-…`. Either its rows were never committed, and the log gives them
  again; or they were, under a manifest that is lost, and the log may not hold them any more. It is deleted at the first
  opening that finds each of its rows stored, too old, or in a younger file of this kind, so that repeated kills do not
  fill the disk.
"""

from collections.abc import Collection
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import structlog

from learner.examples.example_rule import EVENT_TIME, REQUEST_ID
from learner.examples.learner_errors import StoreDamaged
from learner.examples.segment_file import KEY, parsed
from learner.examples.segment_salvage import DAMAGED_FOLDER, set_aside

UNNAMED = "unnamed-"
log = structlog.get_logger(__name__)
Key = tuple[Any, ...]


def settle_leftovers(directory: Path, named: Collection[str], stored: AbstractSet[Key], horizon: int) -> None:
    """Find a place for what the manifest of `directory`, which names the files `named`, does not name.

    `stored` holds the keys (see KEY) of all rows that are committed, `horizon` is the smallest event time (epoch ms)
    that is still taken in. Only the writer may do this. Raises StoreUnwritable.
    """
    for unfinished in directory.glob("*.parquet.tmp"):
        delete(unfinished)
    unnamed = [path for path in directory.glob("*.parquet") if path.name not in named]
    aside = list((directory / DAMAGED_FOLDER).glob(f"{UNNAMED}*"))
    younger: set[Key] = set()
    for path in sorted((*unnamed, *aside), key=lambda path: path.lstat().st_mtime_ns, reverse=True):
        keys = _keys(path)
        only_here = {key for key in keys or () if key[1] >= horizon} - stored - younger
        if keys is not None and not only_here:
            delete(path)
            continue
        younger |= only_here
        if path.parent == directory:
            log.warning("segment that the manifest does not name set aside", segment=path.name, rows=len(only_here))
            set_aside(directory, [path], UNNAMED)
    with suppress(OSError):  # it stays while anything is in it
        (directory / DAMAGED_FOLDER).rmdir()


def delete(path: Path) -> None:
    """Delete a file that is there for nothing; where that fails, the next opening tries again."""
    with suppress(OSError):
        path.unlink()


def _keys(path: Path) -> set[Key] | None:
    """The keys of the file's rows; None when it cannot be read."""
    try:
        rows = parsed(path, KEY)
    except (StoreDamaged, FileNotFoundError):
        return None
    sound = rows.schema == {REQUEST_ID: pl.String, EVENT_TIME: pl.Int64} and not any(rows.null_count().row(0))
    return set(rows.rows()) if sound else None
