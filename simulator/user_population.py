"""The users of the homefeed: their hidden affinities, their visible embedding, and how often they visit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EMBEDDING_DIM = 8
EMBEDDING_NOISE = 0.15
COHORTS = ("CORE", "CASUAL", "REST")
CORE_VISITS, CASUAL_VISITS = 1.6, 0.6
POPULATION_STREAM = 1


@dataclass(frozen=True)
class Taste:
    """A type of user: its share of all users and the typical affinities of its members, each in [0, 1].

    `save` and `p2p` scale the probability of an engagement per served item. `shop_lean` is the weight of an item's
    shopping appeal, as opposed to its inspiration, in the user's decision to save it.
    """

    name: str
    share: float
    save: float
    p2p: float
    shop_lean: float


TASTES = (
    Taste("saver", 0.31, save=0.60, p2p=0.02, shop_lean=0.0),
    Taste("shopper", 0.47, save=0.20, p2p=0.45, shop_lean=0.9),
    Taste("browser", 0.22, save=0.08, p2p=0.25, shop_lean=0.0),
)


@dataclass(frozen=True)
class UserPopulation:
    """Arrays with one row per user.

    `taste` is an index into TASTES, `cohort` into COHORTS; `visits` is relative, `embedding` has shape [users, 8].
    """

    taste: NDArray[np.int64]
    save: NDArray[np.float64]
    p2p: NDArray[np.float64]
    shop_lean: NDArray[np.float64]
    visits: NDArray[np.float64]
    cohort: NDArray[np.int64]
    embedding: NDArray[np.float32]

    @property
    def size(self) -> int:
        """Number of users."""
        return len(self.taste)


def draw_population(seed: int, users: int) -> UserPopulation:
    """`users` users; the same seed gives the same users.

    The embedding is a fixed random projection of the hidden affinities with a little noise, like the output of a
    recommender's user tower. Cohorts depend on visits; savers are more likely to be CORE.
    """
    random = np.random.default_rng([seed, POPULATION_STREAM])
    taste = random.choice(len(TASTES), size=users, p=[each.share for each in TASTES])
    save, p2p, lean = (
        np.array([getattr(each, name) for each in TASTES])[taste] for name in ("save", "p2p", "shop_lean")
    )
    save = save * np.exp(random.normal(0.0, 0.2, users))
    p2p = p2p * np.exp(random.normal(0.0, 0.2, users))
    visits = random.lognormal(0.0, 0.8, users)
    return UserPopulation(
        taste=taste.astype(np.int64),
        save=save,
        p2p=p2p,
        shop_lean=lean,
        visits=visits,
        cohort=_cohorts(visits * (0.7 + save)),
        embedding=_embed(random, np.stack([save / 0.3, p2p / 0.2, lean / 0.5], axis=1) - 1.0),
    )


def _cohorts(activity: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.where(activity >= CORE_VISITS, 0, np.where(activity >= CASUAL_VISITS, 1, 2)).astype(np.int64)


def _embed(random: np.random.Generator, affinities: NDArray[np.float64]) -> NDArray[np.float32]:
    projection = random.normal(0.0, 1.0 / np.sqrt(affinities.shape[1]), (affinities.shape[1], EMBEDDING_DIM))
    noise = random.normal(0.0, EMBEDDING_NOISE, (len(affinities), EMBEDDING_DIM))
    return (affinities @ projection + noise).astype(np.float32)
