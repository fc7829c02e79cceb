"""Blocks of requests: few where there are many arms, and never none."""

from learner.network.pair_blocks import BATCH_PAIRS, rows_at_once


def test_a_block_has_at_most_so_many_pairs_and_at_least_one_request() -> None:
    assert rows_at_once(1) == BATCH_PAIRS
    assert rows_at_once(50) * 50 <= BATCH_PAIRS < (rows_at_once(50) + 1) * 50
    assert rows_at_once(2 * BATCH_PAIRS) == 1
