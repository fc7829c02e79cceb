"""What is known of an experiment at one moment: plain values, from which the next action and the screen follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from event_schemas.duration import format_duration
from event_schemas.errors import TrimtabError
from policy_store.decisions import EMPTY, VALID, WITHDRAWN, FileDifference, OpenKill
from trimtab.status.node_view import NodeView

STABLE = "stable"
PASS = "pass"
KILLS, CHANNELS, NODES, NEWEST, PREFERENCE = "kills", "channels", "nodes", "newest checkpoint", "preference"
LEASE = "learner's lease"
SHELF = "checkpoints here"
"""What is asked, as `StatusFacts.faults` names it when there is no answer."""
WINDOW = ("objectives", "join")
"""The sections that the join's window is made of."""


@dataclass(frozen=True, slots=True)
class LogFacts:
    """The topics by their offsets, and the join by its commits.

    lag       events that the join has not processed yet, by partition
    workers   members of the join's group, None if the broker cannot report them
    windows   with which the join committed last (ms), one unless its workers differ
    """

    lag: Mapping[int, int]
    workers: int | None
    events: int
    examples: int
    dead_letters: int
    windows: tuple[int, ...] = ()

    @property
    def unprocessed(self) -> int:
        """The lag over all partitions."""
        return sum(self.lag.values())

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        by_partition = {"lag_by_partition": {str(partition): count for partition, count in self.lag.items()}}
        counts = {name: value for name, value in asdict(self).items() if name not in ("lag", "windows")}
        return {"unprocessed": self.unprocessed} | counts | by_partition | {"windows_ms": list(self.windows)}


@dataclass(frozen=True, slots=True)
class LearnedFacts:
    """The newest checkpoint of the store or of this machine.

    `published` is whether the store has it. `created_at` (epoch ms) is for people: clocks do not order checkpoints.
    `older` are the versions that are known to come before it: its ancestors, and those of earlier runs.
    """

    version: str
    created_at: int
    verdict: str | None
    reasons: tuple[str, ...] = ()
    reason_codes: tuple[str, ...] = ()
    published: bool = True
    older: frozenset[str] = frozenset()

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, without `older`."""
        return {name: value for name, value in asdict(self).items() if name != "older"}


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """One channel: `state` is `valid`, `empty`, or what is wrong with it, and then `fix` says what helps.

    refused_by   the nodes that refuse the record, whatever its state here
    """

    channel: str
    state: str
    version: str | None = None
    by: str | None = None
    reason: str | None = None
    fix: str | None = None
    refused_by: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.state in (VALID, EMPTY, WITHDRAWN)


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What the policy store says, verified.

    open_kills        the kills that hold; one without a record was signed by nobody who is trusted
    kill_faults       what may be a kill and cannot be read or believed
    in_shadow         the checkpoint that channel shadow points to
    versions          every checkpoint in the store
    stable_before     every version that the stable channel has pointed to
    withdrawn_before  all that were withdrawn as the canary
    canary            the version that is the canary: neither withdrawn nor ended by a decision about stable
    preference        the target in force, in words
    proposals         ids of the proposals that wait for approval
    differences       nodes and a learner with another experiment file than this one
    learner           who has the learner's lease, in words
    """

    channels: tuple[ChannelFacts, ...] = ()
    open_kills: tuple[OpenKill, ...] = ()
    kill_faults: tuple[str, ...] = ()
    nodes: tuple[NodeView, ...] = ()
    newest: LearnedFacts | None = None
    in_shadow: LearnedFacts | None = None
    versions: frozenset[str] = frozenset()
    stable_before: frozenset[str] = frozenset()
    withdrawn_before: frozenset[str] = frozenset()
    canary: str | None = None
    preference: str | None = None
    proposals: tuple[str, ...] = ()
    differences: tuple[FileDifference, ...] = ()
    learner: str | None = None

    @property
    def stable(self) -> ChannelFacts:
        """The stable channel."""
        return next((each for each in self.channels if each.channel == STABLE), ChannelFacts(STABLE, EMPTY))

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "channels": [asdict(each) for each in self.channels],
            "open_kills": [each.as_dict() for each in self.open_kills],
            "kill_faults": list(self.kill_faults),
            "nodes": [each.as_dict() for each in self.nodes],
            "preference": self.preference,
            "open_proposals": list(self.proposals),
            "learner": self.learner,
        }


@dataclass(frozen=True, slots=True)
class StatusFacts:
    """Everything that was found at `at` (epoch ms); what could not be found is None and has its fault.

    faults   by what was asked, the most important first
    shelf    the newest checkpoint on this machine
    window   of this process's experiment file (ms): longest attribution + lateness
    """

    experiment: str
    at: int
    log: LogFacts | None = None
    store: StoreFacts | None = None
    shelf: LearnedFacts | None = None
    faults: Mapping[str, TrimtabError] = field(default_factory=dict)
    window: int | None = None

    @property
    def differences(self) -> tuple[FileDifference, ...]:
        """The processes with another experiment file than this one, as far as they leave word of theirs."""
        windows = () if self.log is None or self.window is None else self.log.windows
        of_join = (FileDifference("join", format_duration(each), WINDOW) for each in windows if each != self.window)
        return (*of_join, *(() if self.store is None else self.store.differences))

    @property
    def learned(self) -> LearnedFacts | None:
        """The newest checkpoint, wherever it is.

        This machine's counts if the store's comes before it; if neither is known to come first, the store's counts.
        """
        published = None if self.store is None else self.store.newest
        if published is None or self.shelf is None:
            return published or self.shelf
        if self.store is None or published.version not in self.shelf.older:
            return published
        return replace(self.shelf, published=self.shelf.version in self.store.versions)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "experiment": self.experiment,
            "at": self.at,
            "log": None if self.log is None else self.log.as_dict(),
            "learned": None if self.learned is None else self.learned.as_dict(),
            "store": None if self.store is None else self.store.as_dict(),
            "differing_files": [each.as_dict() for each in self.differences],
            "faults": {name: {"error": fault.what, "fix": fault.fix} for name, fault in self.faults.items()},
        }
