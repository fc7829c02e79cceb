"""A node's last heartbeat, prepared for people. Heartbeats are not signed, so malformed fields are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from policy_store.backends import NodeStatus
from policy_store.records import Channel

ACCEPTED = "accepted"
"""The value of `PickupResult` for a checkpoint that serves; importing the class would load ONNX Runtime."""
PARTS = ("store", "disk", "delivery", "spool")
WELL = "ok"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A node did not accept what `channel` points to; `result` is a value of PickupResult."""

    channel: str
    result: str
    notes: tuple[str, ...] = ()

    def describe(self) -> str:
        """The refusal as one line of text."""
        return ": ".join([f"refused what {self.channel} points to", self.result, *self.notes])


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node alive.

    versions    checkpoint by channel, as far as the node has accepted one
    epoch       of the last re-base the node has applied, 0 before the first
    withheld    why policies that are there must not be used, None where they may
    troubles    what does not work, one sentence each
    """

    node_id: str
    versions: Mapping[str, str]
    epoch: int = 0
    killed: bool = False
    withheld: str | None = None
    refusals: tuple[Refusal, ...] = ()
    troubles: tuple[str, ...] = ()

    @property
    def well(self) -> bool:
        """Whether there is nothing that a person should look at."""
        return not (self.killed or self.withheld or self.refusals or self.troubles)

    def state(self) -> str:
        """The state of the node in a few words."""
        if self.killed:
            return "killed"
        if self.withheld is not None:
            return f"withheld: {self.withheld}"
        return "well" if self.well else "see below"

    def notes(self) -> tuple[str, ...]:
        """Refusals and troubles, one sentence each."""
        return (*(refusal.describe() for refusal in self.refusals), *self.troubles)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        refused = [{"channel": r.channel, "result": r.result, "notes": list(r.notes)} for r in self.refusals]
        return {
            "node": self.node_id,
            "versions": dict(self.versions),
            "epoch": self.epoch,
            "killed": self.killed,
            "withheld": self.withheld,
            "refused": refused,
            "troubles": list(self.troubles),
        }


def node_view(node: NodeStatus) -> NodeView:
    """The view of one heartbeat."""
    status = node.status
    channels, fault = _mapping(status.get("channels")), status.get("preference_fault")
    troubles = [
        f"{part}: {status[part]}" for part in PARTS if isinstance(status.get(part), str) and status[part] != WELL
    ]
    troubles += [fault] if isinstance(fault, str) else []
    troubles += [f"{name}: its record has expired" for name, each in channels.items() if _mapping(each).get("stale")]
    withheld, epoch = status.get("withheld"), status.get("epoch")
    return NodeView(
        node_id=node.node_id,
        versions={name: each for name, each in _mapping(status.get("versions")).items() if isinstance(each, str)},
        epoch=epoch if isinstance(epoch, int) else 0,
        killed=status.get("killed") is True,
        withheld=withheld if isinstance(withheld, str) else None,
        refusals=tuple(_refusals(channels)),
        troubles=tuple(troubles),
    )


def _refusals(channels: Mapping[str, Any]) -> list[Refusal]:
    found = []
    for channel in Channel:
        state = _mapping(channels.get(channel.value))
        result, notes = state.get("result"), state.get("notes")
        if isinstance(result, str) and result != ACCEPTED:
            said = tuple(each for each in notes if isinstance(each, str)) if isinstance(notes, list) else ()
            found.append(Refusal(channel.value, result, said))
    return found


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
