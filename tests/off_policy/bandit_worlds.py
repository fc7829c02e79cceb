"""Small worlds with a known truth, to test estimators against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from off_policy.logged_bandit import LoggedBandit
from off_policy.target_policies import TargetPolicy

ARMS = 6
"""The last one is production."""
PRODUCTION = ARMS - 1
CONTEXTS = 4
LOGGING = np.array([0.15, 0.15, 0.15, 0.15, 0.15, 0.25])


@dataclass(frozen=True)
class World:
    """click[contexts, arms, objectives] are true reward probabilities; contexts are uniform."""

    click: npt.NDArray[np.float64]

    @property
    def objectives(self) -> tuple[str, ...]:
        return tuple(f"objective{i}" for i in range(self.click.shape[2]))

    def draw(self, rows: int, rng: np.random.Generator) -> tuple[LoggedBandit, npt.NDArray[np.int64]]:
        """(log, context[rows])"""
        context = rng.integers(CONTEXTS, size=rows)
        action = rng.choice(ARMS, size=rows, p=LOGGING)
        chance = self.click[context, action]
        reward = (rng.random(chance.shape) < chance).astype(np.float64)
        log = LoggedBandit(action, LOGGING[action], reward, np.ones(reward.shape, dtype=np.bool_), self.objectives)
        return log, context

    def model(self, context: npt.NDArray[np.int64], error: float = 0.0) -> npt.NDArray[np.float64]:
        """q[rows, arms, objectives]: the truth, bent by `error` towards a constant."""
        return (1.0 - error) * self.click[context] + error * 0.5

    def best(self, objective: int, context: npt.NDArray[np.int64], name: str = "best") -> TargetPolicy:
        return TargetPolicy(name, arms=self.click[:, :, objective].argmax(axis=1)[context])

    def value_of_arms(self, arms: npt.NDArray[np.int64], objective: int) -> float:
        """True value of the policy that plays arms[context]."""
        return float(self.click[np.arange(CONTEXTS), arms, objective].mean())


def lively_world(objectives: int = 2, seed: int = 7) -> World:
    """Rewards between 5 and 45 %."""
    rng = np.random.default_rng(seed)
    return World(rng.uniform(0.05, 0.45, size=(CONTEXTS, ARMS, objectives)))
