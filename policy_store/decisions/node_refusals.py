"""What nodes did not accept, as their heartbeats say. Heartbeats are not signed, so malformed parts are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from policy_store.backends.store import NodeStatus
from policy_store.records.channel_record import Channel

ACCEPTED = "accepted"
"""The value of `PickupResult` for a checkpoint that serves; importing the class would load ONNX Runtime."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A node did not accept what `channel` pointed to; `result` is a value of PickupResult.

    `version` and `revision` are those of the record that it refused; None if the record could not be read, or if the
    node is of version 0.1.0, which does not report them.
    """

    channel: str
    result: str
    notes: tuple[str, ...] = ()
    version: str | None = None
    revision: int | None = None

    def describe(self) -> str:
        """The refusal as one line of text."""
        what = f"what {self.channel} points to" if self.version is None else f"{self.version} on {self.channel}"
        return f"refused {what}: {self.why()}"

    def why(self) -> str:
        """The result and its explanation."""
        return ": ".join((self.result, *self.notes))

    def concerns(self, record: Mapping[str, Any]) -> bool:
        """Whether it may be about this record, given as plain values, and not about one that has been replaced."""
        claims = ((self.version, record.get("version")), (self.revision, record.get("revision")))
        return all(mine is None or theirs is None or mine == theirs for mine, theirs in claims)


def node_refusals(node: NodeStatus) -> list[Refusal]:
    """What this node refused last, at most one record of each channel."""
    channels, found = _object(node.status.get("channels")), []
    for channel in Channel:
        state = _object(channels.get(channel.value))
        result, notes, judged = state.get("result"), state.get("notes"), _object(state.get("judged"))
        if not isinstance(result, str) or result == ACCEPTED:
            continue
        said = tuple(each for each in notes if isinstance(each, str)) if isinstance(notes, list) else ()
        version, revision = judged.get("version"), judged.get("revision")
        found.append(
            Refusal(
                channel.value,
                result,
                said,
                version if isinstance(version, str) else None,
                revision if isinstance(revision, int) else None,
            )
        )
    return found


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
