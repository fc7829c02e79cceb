"""The interface through which the simulator gets weights: a PolicyAgent in this process, or a sidecar."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from event_schemas.experiment import Experiment
from event_schemas.exploration import ExplorationDraws
from event_schemas.slices import Slice
from serving_agent.decide import DecisionRequest, HeadSummaries

IsLogged = Callable[[str, str, str | None], bool]
"""Whether the decision with this request id, slice and user id is in the log."""


def logged_by(experiment: Experiment) -> IsLogged:
    """The experiment's sampling rule; it is the same on every node because it is a hash of ids."""
    draws = ExplorationDraws(experiment.action_space, experiment.exploration)

    def is_logged(request_id: str, slice_name: str, user_id: str | None) -> bool:
        return draws.sampling(request_id, Slice(slice_name), user_id).logged

    return is_logged


class PortDecision(Protocol):
    """A decision from the caller's point of view; `serving_agent.decide.decision.Decision` is one."""

    @property
    def request_id(self) -> str:
        """Identifier of the decision."""
        ...

    @property
    def weights(self) -> Mapping[str, float]:
        """Weights to rank with, by name."""
        ...

    @property
    def slice(self) -> str:
        """Slice the request was drawn into."""
        ...

    def applied(self, heads: HeadSummaries | None = None, served: Sequence[str] = (), ranker_version: str = "") -> bool:
        """Confirms that the weights were used."""
        ...


class DecisionPort(Protocol):
    """Anything that makes decisions; `serving_agent.decide.policy_agent.PolicyAgent` is one."""

    def decide(self, request: DecisionRequest) -> PortDecision:
        """The weights for one request."""
        ...
