"""What a run through serving needs of a world: requests to decide, slates for the weights, and what users do later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from serving_agent.decide import DecisionRequest, HeadSummaries
from simulator.traffic import TrafficPlan
from simulator.user_responses import Response


class LiveStride(Protocol):
    """Some requests of a world, in order of time; `index` counts them from 0."""

    def request(self, index: int) -> DecisionRequest:
        """The request that serving decides."""
        ...

    def rank(self, index: int, weights: NDArray[np.float64]) -> Sequence[str]:
        """The items that the ranker serves with the tuned weights [2], best first."""
        ...

    def heads(self, index: int) -> HeadSummaries:
        """Summaries of the ranker's heads over the request's candidates."""
        ...

    def respond(self, logged: Mapping[int, str]) -> None:
        """Draws what users do with their slates, after every request was served.

        `logged` has the request_id of each logged request by its index. Only their engagements are handed out.
        """
        ...


class LiveWorld(Protocol):
    """A world with a state: strides come in order, and engagements are handed out once."""

    @property
    def ranker_version(self) -> str:
        """The version that rankings are logged with."""
        ...

    @property
    def kinds(self) -> Sequence[str]:
        """The engagements whose true values a report gives."""
        ...

    def stride_end(self, time: int) -> int:
        """The time (epoch ms) before which a stride that starts at `time` ends."""
        ...

    def stride(self, part: TrafficPlan) -> LiveStride:
        """The requests of this part of the plan, which lies before `stride_end` of its first request."""
        ...

    def take_due(self, time: int) -> Iterator[Response]:
        """Removes and yields the engagements at or before `time`, earliest first."""
        ...

    def rest(self) -> Iterator[Response]:
        """Removes and yields all remaining engagements, earliest first."""
        ...

    def true_values(self, plan: TrafficPlan, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The exact E[reward | request, weights], [n, kinds], if request i is served with `weights[i]`."""
        ...
