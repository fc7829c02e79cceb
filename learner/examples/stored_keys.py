"""The dedupe keys of all stored rows in memory, 16 bytes for each row.

A key is a request id and its event time (see `segment_file.KEY`). Here the id is a 64-bit hash, beside the whole time:
two ids of one millisecond are taken for one with probability 2⁻⁶⁴ per pair.
"""

from collections.abc import Collection
from typing import Any

import polars as pl

from learner.examples.example_rule import EVENT_TIME, REQUEST_ID
from learner.examples.segment_file import KEY

HASH = "request_hash"
Key = tuple[Any, ...]


class StoredKeys:
    """The keys of segments by the segment's name; hashes are of this process and are never written."""

    def __init__(self) -> None:
        self._by_segment: dict[str, pl.DataFrame] = {}

    def add(self, name: str, rows: pl.DataFrame) -> None:
        """The rows of a segment, with the columns KEY at least."""
        self._by_segment[name] = _hashed(rows)

    def only(self, names: Collection[str]) -> None:
        """Forget all other segments."""
        self._by_segment = {name: keys for name, keys in self._by_segment.items() if name in names}

    def are_stored(self, rows: pl.DataFrame) -> pl.Series:
        """For each of `rows` whether its key is stored (Boolean); only keys of the same time span are compared."""
        if rows.height == 0:
            return pl.Series(dtype=pl.Boolean)
        asked = _hashed(rows)
        times = asked[EVENT_TIME]
        inside = pl.col(EVENT_TIME).is_between(times.min(), times.max())
        near = [part for keys in self._by_segment.values() if (part := keys.filter(inside)).height]
        if not near:
            return pl.repeat(value=False, n=rows.height, dtype=pl.Boolean, eager=True)
        known = pl.concat(near).unique().with_columns(held=pl.lit(value=True))
        found = asked.join(known, on=asked.columns, how="left", maintain_order="left")
        return found["held"].fill_null(value=False)

    def lacking(self, keys: Collection[Key]) -> set[Key]:
        """Those of `keys` that are not stored."""
        ordered = list(keys)
        rows = pl.DataFrame(ordered, schema={REQUEST_ID: pl.String, EVENT_TIME: pl.Int64}, orient="row")
        return {key for key, held in zip(ordered, self.are_stored(rows), strict=True) if not held}


def _hashed(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(KEY).select(EVENT_TIME, pl.col(REQUEST_ID).hash().alias(HASH))
