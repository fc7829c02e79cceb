"""Handles segment files that are not in the manifest: a kill left them, or the manifest is older or was lost.

Opening the store does this with them:

- An unfinished file (`*.parquet.tmp`) is deleted, and so is one that the manifest names as replaced.
- A file of which all rows are stored or too old is deleted: it had expired, or was merged into another file.
- Any other file moves to the folder `damaged`, as `unnamed-…`. If its rows were never committed, the log gives them
  again. If they were committed in a manifest that is lost, the log may no longer have them. The file is deleted by the
  first opening that finds all of its rows stored, too old, or in files of this kind with more rows, so that repeated
  kills do not fill the disk. File times do not matter: a clock may have been set back.
"""

from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

import polars as pl
import structlog

from learner.examples.example_rule import EVENT_TIME, REQUEST_ID
from learner.examples.learner_errors import StoreDamaged
from learner.examples.segment_file import KEY, parsed
from learner.examples.segment_salvage import DAMAGED_FOLDER, set_aside
from learner.examples.stored_keys import Key

UNNAMED = "unnamed-"
log = structlog.get_logger(__name__)


def settle_leftovers(
    directory: Path, named: Collection[str], lacking: Callable[[Collection[Key]], set[Key]], horizon: int
) -> None:
    """Handle the files of `directory` that are not among `named`, the files in the manifest.

    `lacking` gives those of the keys (see KEY) that no committed row has, `horizon` is the smallest event time (epoch
    ms) that is still accepted. Only the writer may call this. Raises StoreUnwritable.
    """
    for unfinished in directory.glob("*.parquet.tmp"):
        delete(unfinished)
    unnamed = [path for path in directory.glob("*.parquet") if path.name not in named]
    aside = list((directory / DAMAGED_FOLDER).glob(f"{UNNAMED}*"))
    found = {path: _keys(path) for path in sorted((*unnamed, *aside))}
    fuller: set[Key] = set()
    for path, keys in sorted(found.items(), key=lambda each: len(each[1] or ()), reverse=True):
        only_here = lacking({key for key in keys or () if key[1] >= horizon}) - fuller
        if keys is not None and not only_here:
            delete(path)
            continue
        fuller |= only_here
        if path.parent == directory:
            log.warning("segment that the manifest does not name set aside", segment=path.name, rows=len(only_here))
            set_aside(directory, [path], UNNAMED)
    with suppress(OSError):  # fails, and keeps the folder, if it is not empty
        (directory / DAMAGED_FOLDER).rmdir()


def delete(path: Path) -> None:
    """Delete a file that is no longer needed; if that fails, the next opening tries again."""
    with suppress(OSError):
        path.unlink()


def _keys(path: Path) -> set[Key] | None:
    """The keys of the file's rows; None if it cannot be read."""
    try:
        rows = parsed(path, KEY)
    except (StoreDamaged, FileNotFoundError):
        return None
    sound = rows.schema == {REQUEST_ID: pl.String, EVENT_TIME: pl.Int64} and not any(rows.null_count().row(0))
    return set(rows.rows()) if sound else None
