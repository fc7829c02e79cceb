"""Rows at positions are the same rows that polars gathers."""

import numpy as np
import polars as pl
import pytest

from learner.examples.frame_rows import GATHERED_ROWS, neighbours, rows_at

FRAME = pl.DataFrame({"a": range(GATHERED_ROWS + 9), "b": [[{"c": n}] for n in range(GATHERED_ROWS + 9)]})


@pytest.mark.parametrize(
    "positions",
    [[], [3], [3, 4, 5], [5, 4, 3], [2, 4], [3, 3], [0, 2, 1, 3], [*range(GATHERED_ROWS + 8, -1, -1)]],
)
def test_positions_in_any_order(positions: list[int]) -> None:
    at = np.array(positions, dtype=np.int64)
    assert rows_at(FRAME, at).equals(FRAME[at])


def test_only_a_run_without_gaps_is_a_slice() -> None:
    assert neighbours(np.array([4, 5, 6])) == slice(4, 7)
    assert neighbours(np.array([0, 2, 1, 3])) is None
    assert neighbours(np.array([], dtype=np.int64)) == slice(0, 0)
