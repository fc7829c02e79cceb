"""Where the simulator gets its weights from: a PolicyAgent in this process, or a sidecar."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from event_schemas.experiment import Experiment
from event_schemas.slices import Slice, draw_sampling
from serving_agent.decide.decision_request import DecisionRequest

HeadSummaries = Mapping[str, Mapping[str, float]]


IsLogged = Callable[[str, str], bool]
"""Whether the decision with this request id and slice is in the log."""


def logged_by(experiment: Experiment) -> IsLogged:
    """What the experiment's sampling says; the same on every node, for it is a hash of the id."""
    rates = experiment.experiment

    def is_logged(request_id: str, slice_name: str) -> bool:
        return draw_sampling(rates.salt, request_id, Slice(slice_name), rates.log_rate).logged

    return is_logged


class PortDecision(Protocol):
    """A decision as its caller sees it; `serving_agent.decide.decision.Decision` is one."""

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
    """Something that decides; `serving_agent.decide.policy_agent.PolicyAgent` is one."""

    def decide(self, request: DecisionRequest) -> PortDecision:
        """The weights for one request."""
        ...
