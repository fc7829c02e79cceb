"""The users of a world: persistent traits, the embedding that shows them, and intents that come and go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.worlds.counter_draws import evenly, normals, uniforms
from simulator.worlds.world_shape import WorldShape

EMBEDDING_DIM = 8
EMBEDDING_NOISE = 0.25
TRAITS = 4
TRAIT_STREAM, RATE_STREAM, GROUP_STREAM, EMBEDDING_STREAM, PROJECTION_STREAM, INTENT_STREAM = range(101, 107)
WARM_UP_DAYS = 28
"""How many days before a run its users are followed: cohorts look back as far."""
MOST_DAYS = 4_000


@dataclass(frozen=True)
class Members:
    """Arrays with one row per user.

    `traits` float64[users, 4]; `topic` and `style` are indices; `log_rates` [users, 3] by kind; `visits` is relative;
    `embedding` float32[users, 8] is what a serving node sees.
    """

    traits: NDArray[np.float64]
    topic: NDArray[np.int64]
    style: NDArray[np.int64]
    log_rates: NDArray[np.float64]
    visits: NDArray[np.float64]
    embedding: NDArray[np.float32]

    @property
    def size(self) -> int:
        """Number of users."""
        return len(self.topic)


def draw_members(shape: WorldShape, seed: int, users: int) -> Members:
    """`users` users; user k is the same, however many there are.

    Collectors save much more than others, so that cohorts by saving days differ in what serves them. The embedding is a
    rotation of traits, rates and topic with noise, like the output of a recommender's user tower; styles are unseen.
    """
    rows = np.arange(users, dtype=np.int64)
    traits = normals(seed, TRAIT_STREAM, rows, TRAITS)
    own = normals(seed, RATE_STREAM, rows, 4)
    group = uniforms(seed, GROUP_STREAM, rows, 3)
    topic, style = evenly(group[:, 0], shape.topics), evenly(group[:, 1], shape.styles)
    spread = np.array(shape.rate_spread)
    log_rates = own[:, :3] * spread - spread**2 / 2
    collects = group[:, 2] < shape.collector_share
    log_rates[:, 0] += np.where(collects, shape.collector_gap / 2, -shape.collector_gap / 2)
    angle = 2 * np.pi * topic / shape.topics
    shown = [traits, log_rates[:, :2], np.column_stack([np.cos(angle), np.sin(angle)])]
    return Members(
        traits=traits,
        topic=topic,
        style=style,
        log_rates=log_rates,
        visits=np.exp(shape.visits_spread * own[:, 3]),
        embedding=_embedded(seed, rows, np.concatenate(shown, axis=1)),
    )


def shopping_intents(shape: WorldShape, seed: int, users: int, days: int) -> NDArray[np.bool_]:
    """bool[users, 28 + days]: who shops on which day, from 28 days before the run.

    Each day an intent is drawn again with probability 1 / stay_days, and is kept otherwise. A cell does not depend on
    how many users or days there are.
    """
    total = WARM_UP_DAYS + days
    cells = (np.arange(users, dtype=np.int64)[:, None] * MOST_DAYS + np.arange(total)).ravel()
    renewed, fresh = uniforms(seed, INTENT_STREAM, cells, 2).T.reshape(2, users, total)
    begun = renewed < 1 / shape.lean.stay_days
    begun[:, :1] = True
    since = np.maximum.accumulate(np.where(begun, np.arange(total), 0), axis=1)
    return np.take_along_axis(fresh < shape.lean.shop_share, since, axis=1)


def _embedded(seed: int, rows: NDArray[np.int64], shown: NDArray[np.float64]) -> NDArray[np.float32]:
    drawn = normals(seed, PROJECTION_STREAM, np.arange(shown.shape[1], dtype=np.int64), EMBEDDING_DIM)
    projection = np.linalg.qr(drawn)[0]
    noise = EMBEDDING_NOISE * normals(seed, EMBEDDING_STREAM, rows, EMBEDDING_DIM)
    embedding: NDArray[np.float32] = (shown @ projection + noise).astype(np.float32)
    return embedding
