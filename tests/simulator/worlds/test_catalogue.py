"""The ranker serves what its heads predict under the weights, and its summaries are quantiles."""

from dataclasses import replace

import numpy as np
import pytest

from simulator.worlds.catalogue import draw_catalogue, full_weights, head_summaries, ranked, utilities
from simulator.worlds.world_shape import HEADS, WorldShape

SHAPE = WorldShape()
ITEMS = draw_catalogue(SHAPE, 9)
SETS = SHAPE.topics * SHAPE.sets_per_topic


def test_a_seed_fixes_the_items() -> None:
    again, other = draw_catalogue(SHAPE, 9), draw_catalogue(SHAPE, 10)
    assert np.array_equal(ITEMS.heads, again.heads) and not np.array_equal(ITEMS.heads, other.heads)
    assert ITEMS.heads.shape == (SHAPE.styles, SETS, SHAPE.candidates, len(HEADS)) and ITEMS.heads.dtype == np.float32


def test_a_head_with_all_the_weight_decides() -> None:
    for head in range(len(HEADS)):
        weights = np.zeros((1, len(HEADS)))
        weights[0, head] = 1.0
        best = np.argsort(-ITEMS.heads[1, 2, :, head], kind="stable")[: SHAPE.served]
        assert np.array_equal(ITEMS.slates(weights, SHAPE.served)[1, 2, 0], best)


def test_utilities_are_the_same_alone_and_together() -> None:
    weights = np.random.default_rng(0).uniform(1, 100, (40, len(HEADS)))
    together = utilities(ITEMS.heads[0, :, None], weights[None, :, None])
    assert np.array_equal(together[3, 7], utilities(ITEMS.heads[0, 3], weights[7]))
    assert np.allclose(together[3, 7], ITEMS.heads[0, 3].astype(np.float64) @ weights[7])


def test_equal_utilities_are_ranked_in_order() -> None:
    assert ranked(np.array([1.0, 2.0, 2.0, 0.0]), 3).tolist() == [1, 2, 0]


def test_drifted_heads_predict_in_proportion() -> None:
    factors = np.array([1.0, 2.0, 1.0, 1.0, 1.0])
    assert np.allclose(ITEMS.with_heads_scaled(factors).heads, ITEMS.heads * factors)


def test_heads_follow_the_qualities_they_predict() -> None:
    quality = np.broadcast_to(ITEMS.quality, (SHAPE.styles, *ITEMS.quality.shape))
    for head, component in (("repin", 0), ("p2p", 1), ("closeup", 2)):
        predicted = ITEMS.heads[..., HEADS.index(head)].ravel()
        assert np.corrcoef(predicted, quality[..., component].ravel())[0, 1] > 0.5


def test_summaries_are_ordered_quantiles() -> None:
    summary = head_summaries(ITEMS.heads)
    assert summary.shape == (SHAPE.styles, SETS, len(HEADS), 4)
    assert (np.diff(summary[..., 1:], axis=-1) >= 0).all()
    assert np.allclose(summary[..., 0], ITEMS.heads.mean(axis=2), atol=1e-6)


def test_rivals_sell_what_does_not_inspire() -> None:
    rivals = draw_catalogue(replace(SHAPE, rival=0.8), 9)
    assert np.corrcoef(rivals.quality[..., 0].ravel(), rivals.quality[..., 1].ravel())[0, 1] < -0.7


def test_other_weights_than_the_two_tuned_ones_are_refused() -> None:
    assert full_weights(SHAPE, np.ones((3, 2))).shape == (3, len(HEADS))
    with pytest.raises(ValueError, match="tuned heads"):
        full_weights(SHAPE, np.ones((3, 4)))
