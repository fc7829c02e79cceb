"""Which processes have another experiment file than this one, and in which sections it differs.

Nodes report digests of their file in heartbeats, the learner in the manifest of each checkpoint. Neither is verified
here, so these are only claims. Processes of version 0.1.0 report nothing and are not compared. The join writes its
window into its commits, which `trimtab status` reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from event_schemas.section_digests import SECTION_DIGESTS, claimed_digests, differing_sections
from policy_store.backends.store import NodeStatus
from policy_store.records.checkpoint_record import CheckpointManifest

ONE_FILE = "give every process and this command the same experiment file, and restart the processes that had another"


@dataclass(frozen=True, slots=True)
class FileDifference:
    """`name` is the node's id, or the version of the checkpoint that the learner made with its file.

    For the join it is the window that it committed with, as text: one of `sections` differs.
    """

    process: Literal["node", "learner", "join"]
    name: str
    sections: tuple[str, ...]

    def describe(self) -> str:
        """The difference as one line of text."""
        who = {
            "node": f"node {self.name}",
            "learner": f"the learner of {self.name}",
            "join": f"the join with window {self.name}",
        }[self.process]
        has = "had" if self.process == "learner" else "has"
        return f"{who} {has} another {self.told_sections()} in its experiment file"

    @property
    def fix(self) -> str:
        """What helps, and how long it takes to show."""
        return ONE_FILE + ("; the learner is listed until its next run" if self.process == "learner" else "")

    def told_sections(self) -> str:
        """The sections as they stand in the file."""
        return (" or " if self.process == "join" else ", ").join(f"[{name}]" for name in self.sections)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"process": self.process, "name": self.name, "sections": list(self.sections)}


def file_differences(
    ours: Mapping[str, str], nodes: Iterable[NodeStatus], newest: CheckpointManifest | None
) -> list[FileDifference]:
    """The learner that made the newest checkpoint, and the live nodes, if their file differs from that of `ours`."""
    claims: list[tuple[Literal["node", "learner"], str, Any]] = [
        ("node", node.node_id, node.status.get(SECTION_DIGESTS)) for node in nodes
    ]
    if newest is not None:
        claims.insert(0, ("learner", newest.version, newest.section_digests))
    found = []
    for process, name, claim in claims:
        theirs = claimed_digests(claim)
        if theirs is not None and (sections := differing_sections(ours, theirs)):
            found.append(FileDifference(process, name, sections))
    return found
