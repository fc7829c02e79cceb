"""A node's last heartbeat, prepared for people. Heartbeats are not signed, so malformed fields are ignored.

Malformed digests of its experiment file are told of: without a word the file would pass for the same one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from event_schemas.section_digests import SECTION_DIGESTS, claim_malformed
from policy_store.backends import NodeStatus
from policy_store.decisions import Refusal, node_refusals

PARTS = ("store", "disk", "delivery", "spool", "name")
WELL = "ok"
NOT_COMPARED = f"its {SECTION_DIGESTS} are malformed: its experiment file is not compared with this one"


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node alive.

    versions    checkpoint by channel, as far as the node has accepted one
    since       when that was put in force, by channel (epoch ms); version 0.1.0 does not say
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
    since: Mapping[str, int] = field(default_factory=dict)

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
        refused = [
            {"channel": r.channel, "version": r.version, "result": r.result, "notes": list(r.notes)}
            for r in self.refusals
        ]
        return {
            "node": self.node_id,
            "versions": dict(self.versions),
            "since": dict(self.since),
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
    if claim_malformed(status.get(SECTION_DIGESTS)):
        troubles.append(NOT_COMPARED)
    withheld, epoch = status.get("withheld"), status.get("epoch")
    return NodeView(
        node_id=node.node_id,
        versions={name: each for name, each in _mapping(status.get("versions")).items() if isinstance(each, str)},
        epoch=epoch if isinstance(epoch, int) else 0,
        killed=status.get("killed") is True,
        withheld=withheld if isinstance(withheld, str) else None,
        refusals=tuple(node_refusals(node)),
        troubles=tuple(troubles),
        since={name: each for name, each in _mapping(status.get("since")).items() if isinstance(each, int)},
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
