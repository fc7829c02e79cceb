"""The items of a world, the sets that retrieval answers with, and what the ranker's heads predict of them.

Each topic has a few candidate sets; a request gets one of its user's topic, at random and unseen. Because there are few
of them, the expectation over what is retrieved is an exact mean.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from simulator.worlds.counter_draws import normals
from simulator.worlds.world_shape import HEADS, TUNED_HEADS, WorldShape

ITEM_EMBEDDING_DIM = 4
ITEM_STREAM, MATCH_STREAM, NOISE_STREAM, LOOK_STREAM, TOPIC_STREAM = range(111, 116)
HEAD_SCALE = np.array([0.1, 1.0, 0.3, 0.8, 0.05])
MATCH_SPREAD = 0.4
LOOK_NOISE = 0.4
LEVEL = 1.0
"""Subtracted from every logit, so that typical items are engaged with rarely."""


@dataclass(frozen=True)
class Catalogue:
    """Sets are numbered topic · sets_per_topic + k.

    `quality` float64[sets, candidates, 3] has how inspiring, sellable and catchy items are (standard normal), `match`
    [styles, sets, candidates] how much they suit a style, `heads` float32[styles, sets, candidates, 5] what the ranker
    predicts, and `embedding` float32[sets, candidates, 4] what histories show of them.
    """

    quality: NDArray[np.float64]
    match: NDArray[np.float64]
    heads: NDArray[np.float32]
    embedding: NDArray[np.float32]

    def slates(self, weights: NDArray[np.float64], count: int) -> NDArray[np.int64]:
        """Candidates [styles, sets, arms, count] that the ranker serves with `weights` [arms, 5], best first."""
        return ranked(utilities(self.heads[:, :, None], weights[:, None]), count)

    def with_heads_scaled(self, factors: NDArray[np.float64]) -> Self:
        """The same items, with predictions that are `factors` [5] times as large."""
        return replace(self, heads=(self.heads * factors).astype(np.float32))


def item_name(number: int) -> str:
    """The id of the item with this number, set · candidates + place."""
    return f"item-{number}"


def utilities(heads: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """u = Σ_h w_h · head_h (PRL-PUTS, Eq. 1): [...] of `heads` and `weights` [..., 5].

    Summed head by head in order, so that a request gets the same utilities alone and among others.
    """
    total = np.zeros(np.broadcast_shapes(heads.shape[:-1], weights.shape[:-1]))
    for head in range(len(HEADS)):
        total += heads[..., head] * weights[..., head]
    return total


def ranked(utility: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Indices of the `count` largest of the last axis, best first; the first of equal ones comes first."""
    best: NDArray[np.int64] = np.argsort(-utility, axis=-1, kind="stable")[..., :count]
    return best


def draw_catalogue(shape: WorldShape, seed: int) -> Catalogue:
    """The items of a world; the same seed gives the same items."""
    sets = shape.topics * shape.sets_per_topic
    items = np.arange(sets * shape.candidates, dtype=np.int64)
    grid = (sets, shape.candidates)
    quality = normals(seed, ITEM_STREAM, items, 3)
    quality[:, 1] = -shape.rival * quality[:, 0] + np.sqrt(1 - shape.rival**2) * quality[:, 1]
    quality = quality.reshape(*grid, 3)
    match = MATCH_SPREAD * normals(seed, MATCH_STREAM, items, shape.styles).T.reshape(shape.styles, *grid)
    topic = np.arange(sets, dtype=np.int64) // shape.sets_per_topic
    noise = normals(seed, LOOK_STREAM, items, ITEM_EMBEDDING_DIM).reshape(*grid, ITEM_EMBEDDING_DIM)
    looks = 0.5 * normals(seed, TOPIC_STREAM, topic, ITEM_EMBEDDING_DIM)[:, None, :] + LOOK_NOISE * noise
    looks[..., : quality.shape[-1]] += 0.7 * quality
    return Catalogue(quality, match, _heads(shape, seed, quality, match), looks.astype(np.float32))


def head_summaries(heads: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean, 10th, 50th and 90th percentile over candidates, [..., 5, 4], of `heads` [..., candidates, 5]."""
    levels = np.quantile(heads, (0.1, 0.5, 0.9), axis=-2)
    summary: NDArray[np.float32] = np.stack([heads.mean(axis=-2), *levels], axis=-1).astype(np.float32)
    return summary


def full_weights(shape: WorldShape, tuned: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights [n, 5] of all heads from those of the tuned ones, [n, 2]."""
    if tuned.ndim != 2 or tuned.shape[1] != len(TUNED_HEADS):
        raise ValueError(f"weights have shape {tuned.shape}, but the tuned heads are {TUNED_HEADS}")
    fixed = np.broadcast_to(np.array(shape.fixed_weights), (len(tuned), len(shape.fixed_weights)))
    return np.concatenate([tuned, fixed], axis=1)


def _heads(
    shape: WorldShape, seed: int, quality: NDArray[np.float64], match: NDArray[np.float64]
) -> NDArray[np.float32]:
    # An axis for styles, as `match` has one.
    inspiring, sellable, catchy = np.moveaxis(np.broadcast_to(quality, (*match.shape, quality.shape[-1])), -1, 0)
    signals = np.stack(
        [
            shape.gain * inspiring + match,
            shape.gain * sellable + match,
            catchy + 0.5 * match,
            0.6 * inspiring + 0.6 * catchy + match,
            catchy - inspiring,
        ],
        axis=-1,
    )
    cells = np.arange(signals[..., 0].size, dtype=np.int64)
    noise = normals(seed, NOISE_STREAM, cells, len(HEADS)).reshape(signals.shape)
    logits = signals - LEVEL + shape.head_noise * noise
    heads: NDArray[np.float32] = (HEAD_SCALE / (1 + np.exp(-logits))).astype(np.float32)
    return heads
