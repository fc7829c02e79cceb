"""Draws depend on their position alone, and are uniform, normal and unrelated between rows and streams."""

import numpy as np

from simulator.worlds.counter_draws import evenly, normals, uniforms

ROWS = np.arange(20_000, dtype=np.int64)


def test_a_row_is_the_same_alone_and_among_others() -> None:
    together = uniforms(3, 1, ROWS, 4)
    assert np.array_equal(uniforms(3, 1, np.array([17, 19_999]), 4), together[[17, 19_999]])
    assert not np.array_equal(uniforms(4, 1, ROWS, 4), together) and not np.array_equal(
        uniforms(3, 2, ROWS, 4), together
    )


def test_draws_fill_the_unit_interval_evenly() -> None:
    drawn = uniforms(3, 1, ROWS, 5)
    assert drawn.min() > 0 and drawn.max() < 1
    counts = np.histogram(drawn, bins=50, range=(0, 1))[0]
    expected = drawn.size / 50
    # χ² with 49 degrees of freedom exceeds 94.6 with probability 1e-4.
    assert ((counts - expected) ** 2 / expected).sum() < 94.6


def test_columns_rows_and_streams_are_uncorrelated() -> None:
    drawn = np.column_stack([uniforms(3, 1, ROWS, 3), uniforms(3, 2, ROWS, 1), uniforms(3, 1, ROWS + 1, 1)])
    correlations = np.corrcoef(drawn.T) - np.eye(drawn.shape[1])
    assert np.abs(correlations).max() < 4.5 / np.sqrt(len(ROWS))


def test_normals_have_the_moments_of_the_normal_distribution() -> None:
    drawn = normals(3, 1, ROWS, 3).ravel()
    error = 1 / np.sqrt(len(drawn))
    assert abs(drawn.mean()) < 4 * error and abs(drawn.var() - 1) < 4 * np.sqrt(2) * error
    assert abs((drawn**4).mean() - 3) < 4 * np.sqrt(96) * error


def test_even_shares_cover_every_index() -> None:
    assert evenly(np.array([0.0001, 0.34, 0.99999]), 3).tolist() == [0, 1, 2]
