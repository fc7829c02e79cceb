"""Everything that a decision depends on besides the request, as one immutable value that is replaced as a whole."""

from dataclasses import dataclass
from typing import Protocol

from policy_store.records import ObjectiveWeights
from serving_agent.decide.fallback_reason import FallbackReason
from serving_agent.decide.loaded_policy import LoadedPolicy
from serving_agent.decide.online_experiments import LoadedExperiment


@dataclass(frozen=True, slots=True, eq=False)
class ServingSnapshot:
    """The state that serves between two swaps. `withheld` says why the loaded policies must not be used.

    `experiments` are in the order in which they take users; the canary is one of them.
    """

    preference: ObjectiveWeights
    stable: LoadedPolicy | None = None
    canary: LoadedPolicy | None = None
    shadow: LoadedPolicy | None = None
    killed: bool = False
    withheld: FallbackReason | None = None
    experiments: tuple[LoadedExperiment, ...] = ()

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
