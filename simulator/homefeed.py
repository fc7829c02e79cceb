"""The synthetic homefeed: candidates with ranker heads, the items that a weight vector serves, and users' responses.

The utility is u(s, x; w) = Σ_i w_i h_i(s, x) over the candidates, and the top k are served (PRL-PUTS, Eq. 1). Two heads
are tuned (repin, p2p); the closeup head keeps its production weight. Items inspire, sell or merely catch the eye.
Production's weights serve every user the same mix of the three, so weights chosen per user improve both objectives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.traffic import TrafficPlan
from simulator.user_population import UserPopulation

TUNED_HEADS = ("repin", "p2p")
HEADS = (*TUNED_HEADS, "closeup")
OBJECTIVES = ("repin", "p2p")
CLOSEUP_WEIGHT = 44.0
CANDIDATES = 40
SERVED = 6
ITEM_KINDS = (0.35, 0.30, 0.35)
HEAD_SCALE = np.array([0.1, 1.0, 0.3])
HEAD_NOISE = 0.3
APPEAL_SPREAD, APPEAL_LEVEL, KIND_GAIN = 0.8, -0.8, 1.2
DEVICES = ("phone", "tablet", "web")
DEVICE_FACTOR = np.array([1.0, 1.05, 0.9])
INSIDE_SHARE = 0.97
CANDIDATE_STREAM = 11


@dataclass(frozen=True)
class Candidates:
    """`heads` float32[n, 40, 3] are the ranker's predictions; `appeal` [n, 40, 2] is the true appeal (repin, p2p)."""

    heads: NDArray[np.float32]
    appeal: NDArray[np.float64]


class Homefeed:
    """One simulated world: its users, and the seed that determines the candidates of every request.

    `weights` are the weights of the action space, [arms, 2], in the order repin, p2p.
    """

    def __init__(self, seed: int, population: UserPopulation, weights: NDArray[np.float64]) -> None:
        if weights.ndim != 2 or weights.shape[1] != len(TUNED_HEADS):
            raise ValueError(f"weights have shape {weights.shape}, but the homefeed tunes {TUNED_HEADS}")
        self.seed = seed
        self.population = population
        self.weights = weights

    def candidates(self, numbers: NDArray[np.int64]) -> Candidates:
        """The candidates of the requests with these numbers; the same number gives the same candidates in every run."""
        noise = np.stack([self._noise(int(number)) for number in numbers])
        kind = np.searchsorted(np.cumsum(ITEM_KINDS)[:-1], noise[..., 0])
        boost = np.where(kind[..., None] == np.arange(3), KIND_GAIN, -KIND_GAIN / 2)
        latent = boost + APPEAL_SPREAD * noise[..., 1:4] + APPEAL_LEVEL
        heads = HEAD_SCALE * sigmoid(latent + HEAD_NOISE * noise[..., 4:7])
        return Candidates(heads.astype(np.float32), sigmoid(latent[..., :2]) ** 2)

    def served(self, heads: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.int64]:
        """Indices [..., 6] of the top candidates under `weights` [..., 2], best first."""
        full = np.concatenate([weights, np.full((*weights.shape[:-1], 1), CLOSEUP_WEIGHT)], axis=-1)
        utility: NDArray[np.float32] = np.einsum("...ch,...h->...c", heads, full.astype(np.float32))
        best_first: NDArray[np.int64] = np.argsort(-utility, axis=-1, kind="stable")[..., :SERVED]
        return best_first

    def engagement_probability(
        self, plan: TrafficPlan, appeal: NDArray[np.float64], chosen: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """P(engagement, inside or outside its window), [n, 6, 2] by request of `plan`, served item and objective.

        P(save) = save · device · ((1 − lean) · inspiration + lean · shopping appeal); P(p2p) = p2p · device · shopping.
        """
        people, user = self.population, plan.user
        shown = np.take_along_axis(appeal, chosen[..., None], axis=1)
        factor = DEVICE_FACTOR[plan.device][:, None]
        lean = people.shop_lean[user][:, None]
        wanted = (1 - lean) * shown[..., 0] + lean * shown[..., 1]
        save = people.save[user][:, None] * factor * wanted
        p2p = people.p2p[user][:, None] * factor * shown[..., 1]
        chance: NDArray[np.float64] = np.minimum(np.stack([save, p2p], axis=-1), 0.95)
        return chance

    def true_values_of(self, plan: TrafficPlan, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The exact E[reward | request, weights], [n, 2], if request i is served with `weights[i]`.

        Rewards are clipped at 1: V = 1 − Π_item (1 − P(engagement inside its window)).
        """
        candidates = self.candidates(plan.number)
        chosen = self.served(candidates.heads, weights)
        inside = INSIDE_SHARE * self.engagement_probability(plan, candidates.appeal, chosen)
        value: NDArray[np.float64] = 1.0 - np.prod(1.0 - inside, axis=1)
        return value

    def _noise(self, number: int) -> NDArray[np.float64]:
        random = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, 0, number, CANDIDATE_STREAM]))
        return np.concatenate([random.random((CANDIDATES, 1)), random.standard_normal((CANDIDATES, 6))], axis=1)


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + e^−x)."""
    return 1.0 / (1.0 + np.exp(-x))
