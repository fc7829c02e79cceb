"""Everything that a decision depends on besides the request, as one immutable value that is replaced as a whole."""

from dataclasses import dataclass
from typing import Protocol

from feature_contract import FeatureContract
from policy_store.records import ObjectiveWeights
from serving_agent.decide.fallback_reason import FallbackReason
from serving_agent.decide.policy_answers import SamplingNetwork
from serving_agent.decide.policy_networks import ValueNetwork


@dataclass(frozen=True, slots=True, eq=False)
class LoadedPolicy:
    """A checkpoint that passed pick-up, ready to score. `created_at` is in epoch ms.

    `contract` encodes requests as in the network's training; checkpoints with different contracts may serve at once.
    A network that answers with distributions is drawn from if it `samples`; else its most probable arm or its mean is
    served. `pinned` are the weights of the objectives that it was trained for, if it answers for no others.
    """

    version: str
    created_at: int
    network: ValueNetwork | SamplingNetwork
    contract: FeatureContract
    samples: bool = True
    pinned: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ServingSnapshot:
    """The state that serves between two swaps. `withheld` says why the loaded policies must not be used."""

    preference: ObjectiveWeights
    stable: LoadedPolicy | None = None
    canary: LoadedPolicy | None = None
    shadow: LoadedPolicy | None = None
    killed: bool = False
    withheld: FallbackReason | None = None

    def versions(self) -> dict[str, str]:
        """The versions by channel, for channels that have a policy."""
        loaded = {"stable": self.stable, "canary": self.canary, "shadow": self.shadow}
        return {channel: policy.version for channel, policy in loaded.items() if policy is not None}


class SnapshotSource(Protocol):
    """Provides the snapshot. A decision reads it once, at its start, so that it never sees half of a swap."""

    @property
    def current(self) -> ServingSnapshot:
        """The snapshot in force."""
        ...


class SnapshotHolder:
    """A snapshot that one thread replaces while others read it; binding an attribute is atomic in Python."""

    def __init__(self, initial: ServingSnapshot) -> None:
        self._current = initial

    @property
    def current(self) -> ServingSnapshot:
        """The snapshot in force."""
        return self._current

    def swap(self, snapshot: ServingSnapshot) -> None:
        """Puts a new snapshot in force; decisions in progress finish with the old one."""
        self._current = snapshot
