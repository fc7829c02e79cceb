"""Small policies that serve distributions, for runs from end to end and for tests: nothing in them is learnt.

Each is the network of a LoadedPolicy: put it into a ServingSnapshot, and that into the SnapshotHolder of a PolicyAgent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving_agent.decide import ArmProbabilities, BoxProposals


class SoftmaxPolicy:
    """Prefers one arm: P(arm) = softmax of 1/temperature for `preferred` and 0 for every other arm.

    The lower the temperature (above 0), the more often the preferred arm is served.
    """

    def __init__(self, arms: int, preferred: int, temperature: float = 0.5) -> None:
        logits = np.zeros(arms)
        logits[preferred] = 1.0 / temperature
        exponentials = np.exp(logits - logits.max())
        self.probabilities: NDArray[np.float64] = exponentials / exponentials.sum()
        """float64[arms], the same for every request."""

    def score(self, feeds: Mapping[str, NDArray[Any]], flag: Any = None) -> ArmProbabilities:
        """See SamplingNetwork."""
        del flag  # nothing here takes long
        return ArmProbabilities(np.tile(self.probabilities, (_rows(feeds), 1)))


class NormalPolicy:
    """Proposes weights that are normal around one vector; `mean` and `sd` are in weight units and file order."""

    def __init__(self, mean: Sequence[float], sd: Sequence[float]) -> None:
        self.mean = np.array(mean, dtype=np.float64)
        self.sd = np.array(sd, dtype=np.float64)

    def score(self, feeds: Mapping[str, NDArray[Any]], flag: Any = None) -> BoxProposals:
        """See SamplingNetwork."""
        del flag
        rows = _rows(feeds)
        return BoxProposals(np.tile(self.mean, (rows, 1)), np.tile(self.sd, (rows, 1)))


def _rows(feeds: Mapping[str, NDArray[Any]]) -> int:
    """The number of requests; 1 if the experiment has no features."""
    return next((len(array) for array in feeds.values()), 1)
