"""What is known of an experiment at one moment: plain values, from which the next action and the screen follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from event_schemas.errors import TrimtabError
from policy_store.decisions import OpenKill
from trimtab.status.node_view import NodeView

STABLE = "stable"
PASS = "pass"
VALID, EMPTY = "valid", "empty"


@dataclass(frozen=True, slots=True)
class LogFacts:
    """The topics by their offsets, and the join by its commits.

    lag       events that the join has not processed yet, by partition
    workers   members of the join's group, None if the broker cannot report them
    """

    lag: Mapping[int, int]
    workers: int | None
    events: int
    examples: int
    dead_letters: int

    @property
    def unprocessed(self) -> int:
        """The lag over all partitions."""
        return sum(self.lag.values())

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        by_partition = {"lag_by_partition": {str(partition): count for partition, count in self.lag.items()}}
        counts = {name: value for name, value in asdict(self).items() if name != "lag"}
        return {"unprocessed": self.unprocessed} | counts | by_partition


@dataclass(frozen=True, slots=True)
class LearnedFacts:
    """The newest checkpoint; `published` is whether the store has it. `created_at` is in epoch ms."""

    version: str
    created_at: int
    verdict: str | None
    reasons: tuple[str, ...] = ()
    reason_codes: tuple[str, ...] = ()
    published: bool = True


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """One channel: `state` is `valid`, `empty`, or what is wrong with it, and then `fix` says what helps."""

    channel: str
    state: str
    version: str | None = None
    by: str | None = None
    reason: str | None = None
    fix: str | None = None

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.state in (VALID, EMPTY)


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What the policy store says, verified.

    open_kills     the kills that hold; one without a record was signed by nobody who is trusted
    kill_faults    what may be a kill and cannot be read or believed
    stable_before  every version that the stable channel has pointed to
    preference     the target in force, in words
    proposals      ids of the proposals that wait for approval
    """

    channels: tuple[ChannelFacts, ...] = ()
    open_kills: tuple[OpenKill, ...] = ()
    kill_faults: tuple[str, ...] = ()
    nodes: tuple[NodeView, ...] = ()
    newest: LearnedFacts | None = None
    stable_before: frozenset[str] = frozenset()
    preference: str | None = None
    proposals: tuple[str, ...] = ()

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
        }


@dataclass(frozen=True, slots=True)
class StatusFacts:
    """Everything that was found at `at` (epoch ms); what could not be found is None and has its fault.

    faults   by what was asked, the most important first
    shelf    the newest checkpoint on this machine
    """

    experiment: str
    at: int
    log: LogFacts | None = None
    store: StoreFacts | None = None
    shelf: LearnedFacts | None = None
    faults: Mapping[str, TrimtabError] = field(default_factory=dict)

    @property
    def learned(self) -> LearnedFacts | None:
        """The newest checkpoint, wherever it is; the store's word counts for one that is in both."""
        published = None if self.store is None else self.store.newest
        if published is None or self.shelf is None:
            return published or self.shelf
        return self.shelf if self.shelf.created_at > published.created_at else published

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "experiment": self.experiment,
            "at": self.at,
            "log": None if self.log is None else self.log.as_dict(),
            "learned": None if self.learned is None else asdict(self.learned),
            "store": None if self.store is None else self.store.as_dict(),
            "faults": {name: {"error": fault.what, "fix": fault.fix} for name, fault in self.faults.items()},
        }
