"""Distributions by blocks of rows: the same numbers as a matrix, whatever the size of the blocks."""

from __future__ import annotations

import numpy as np
import pytest

from off_policy import row_distributions
from off_policy.numeric_arrays import FloatArray, IntArray
from off_policy.row_distributions import MatrixDistributions, RowDistributions, SharedDistributions, row_blocks

ROWS, ARMS, GROUPS = 50, 7, 4
GROUP = np.random.default_rng(0).integers(GROUPS, size=ROWS)
TABLE = np.random.default_rng(1).dirichlet(np.ones(ARMS), size=GROUPS)
HELD: dict[str, RowDistributions] = {
    "matrix": MatrixDistributions(TABLE[GROUP]),
    "table": SharedDistributions.of_table(TABLE, GROUP),
}


@pytest.fixture(params=[1, 3 * ARMS, row_distributions.BLOCK_CELLS])
def cells(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(row_distributions, "BLOCK_CELLS", request.param)
    return int(request.param)


def test_blocks_cover_all_rows_in_order(cells: int) -> None:
    blocks = list(row_blocks(ROWS, ARMS))
    assert np.concatenate([np.arange(ROWS)[block] for block in blocks]).tolist() == list(range(ROWS))
    assert {block.stop - block.start for block in blocks[:-1]} <= {max(1, cells // ARMS)}
    assert list(row_blocks(0, ARMS)) == [slice(0, 0)]


@pytest.mark.parametrize("form", HELD)
@pytest.mark.usefixtures("cells")
def test_the_numbers_are_those_of_the_matrix(form: str) -> None:
    held, matrix = HELD[form], TABLE[GROUP]
    action, counted = np.arange(ROWS) % ARMS, np.arange(ROWS) % 3 == 0
    assert (held.rows, held.arms) == matrix.shape
    np.testing.assert_array_equal(np.asarray(held), matrix)
    np.testing.assert_array_equal(held.at(action), matrix[np.arange(ROWS), action])
    np.testing.assert_allclose(held.total(), matrix.sum(axis=0), rtol=1e-13)
    np.testing.assert_allclose(held.total(counted), matrix[counted].sum(axis=0), rtol=1e-13)


def test_a_group_for_each_row_is_asked_for_by_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_distributions, "BLOCK_CELLS", 5 * ARMS)
    asked = []

    def distributions(groups: IntArray) -> FloatArray:
        asked.append(len(groups))
        return np.full((len(groups), ARMS), 1 / ARMS)

    held = SharedDistributions(np.arange(ROWS), ARMS, distributions)
    held.total()
    held.at(np.zeros(ROWS, dtype=int))
    assert max(asked) == 5


@pytest.mark.usefixtures("cells")
def test_without_rows_there_is_nothing_to_sum() -> None:
    none = SharedDistributions.of_table(TABLE, GROUP[:0])
    assert none.total().tolist() == [0.0] * ARMS
    assert none.at(GROUP[:0]).tolist() == []
    assert np.asarray(none).shape == (0, ARMS)


def test_a_matrix_of_shared_rows_is_a_copy() -> None:
    with pytest.raises(ValueError, match="only by a copy"):
        HELD["table"].__array__(copy=False)
