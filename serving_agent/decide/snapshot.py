"""Everything a decision depends on besides the request, as one immutable value that is swapped whole."""

from dataclasses import dataclass
from typing import Protocol

from feature_contract import FeatureContract
from policy_store.records.objective_weights import ObjectiveWeights
from serving_agent.decide.fallback_reason import FallbackReason
from serving_agent.decide.scoring import PolicyNetwork


@dataclass(frozen=True, slots=True, eq=False)
class LoadedPolicy:
    """A checkpoint that passed pick-up, ready to score. `created_at` is in epoch ms.

    `contract` encodes requests as the network was trained on them; checkpoints of several versions may serve at once.
    """

    version: str
    created_at: int
    network: PolicyNetwork
    contract: FeatureContract


@dataclass(frozen=True, slots=True, eq=False)
class ServingSnapshot:
    """What serves between two swaps. `withheld` says why policies that are there must not be used."""

    preference: ObjectiveWeights
    stable: LoadedPolicy | None = None
    canary: LoadedPolicy | None = None
    shadow: LoadedPolicy | None = None
    killed: bool = False
    withheld: FallbackReason | None = None

    def versions(self) -> dict[str, str]:
        """Version by channel, where there is one."""
        loaded = {"stable": self.stable, "canary": self.canary, "shadow": self.shadow}
        return {channel: policy.version for channel, policy in loaded.items() if policy is not None}


class SnapshotSource(Protocol):
    """Where a decision reads the snapshot: once, at its start, so that it never sees half a swap."""

    @property
    def current(self) -> ServingSnapshot:
        """The snapshot in force."""
        ...


class SnapshotHolder:
    """A snapshot that one thread replaces while others read: binding one attribute is atomic in Python."""

    def __init__(self, initial: ServingSnapshot) -> None:
        self._current = initial

    @property
    def current(self) -> ServingSnapshot:
        """The snapshot in force."""
        return self._current

    def swap(self, snapshot: ServingSnapshot) -> None:
        """Put a new snapshot in force; decisions under way finish with the old one."""
        self._current = snapshot
