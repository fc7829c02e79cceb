"""Rows of a frame at given positions, without more memory than they need.

polars gathers nested columns with several times the memory of the rows. A run of neighbouring rows is taken as a slice,
which shares memory with the frame; other positions are gathered a block at a time.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

GATHERED_ROWS = 16_384


def neighbours(positions: NDArray[np.int64]) -> slice | None:
    """The slice of these positions if they are ascending and without gaps; else None."""
    count = len(positions)
    if count == 0:
        return slice(0, 0)
    first = int(positions[0])
    ends = int(positions[-1]) - first == count - 1
    return slice(first, first + count) if ends and bool((np.diff(positions) == 1).all()) else None


def rows_at(frame: pl.DataFrame, positions: NDArray[np.int64]) -> pl.DataFrame:
    """The rows at `positions` int64[k], in that order."""
    run = neighbours(positions)
    if run is not None:
        return frame[run]
    blocks: Sequence[pl.DataFrame] = [
        frame[positions[start : start + GATHERED_ROWS]] for start in range(0, len(positions), GATHERED_ROWS)
    ]
    return pl.concat(blocks, rechunk=False)
