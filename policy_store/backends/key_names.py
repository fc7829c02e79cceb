"""The names of the Redis keys of one experiment, in one place.

The braces are literal: they make the experiment's name the cluster hash tag, so that all keys of one experiment are in
one slot of the cluster and a script may use several of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from policy_store.records.store_errors import RecordMalformed

_EXPERIMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class KeyNames:
    """Key names under `trimtab:{experiment}:`. Raises RecordMalformed for a name that would break the hash tag."""

    experiment: str

    def __post_init__(self) -> None:
        if not _EXPERIMENT.fullmatch(self.experiment):
            raise RecordMalformed(
                f"experiment name {self.experiment!r} cannot be part of a Redis key",
                fix="use at most 128 characters: letters, digits, '.', '_' and '-'",
            )

    def _name(self, rest: str) -> str:
        return f"trimtab:{{{self.experiment}}}:{rest}"

    def checkpoint(self, version: str) -> str:
        """Hash: manifest, signature, key_id, and one field per blob."""
        return self._name(f"checkpoint:{version}")

    def upload(self, digest: str) -> str:
        """Hash with a time to live: a checkpoint that is being uploaded."""
        return self._name(f"upload:{digest}")

    @property
    def checkpoint_index(self) -> str:
        """Sorted set: version by the order in which the checkpoints came."""
        return self._name("checkpoints")

    def slot(self, slot: str) -> str:
        """Hash of one signed record: `channel:<name>`, `freshness:<name>`, `preference`, `experiments`, `ledger`,
        `control` or `rebase`."""
        return self._name(slot)

    def history(self, slot: str) -> str:
        """List, newest first: the records that have been in the slot, up to the history limit; all of the ledger."""
        return self._name(f"history:{slot}")

    @property
    def kills(self) -> str:
        """Hash: SHA-256 of a kill to the signed record."""
        return self._name("kills")

    @property
    def resumes(self) -> str:
        """Hash: SHA-256 of a kill to the signed resume that names it."""
        return self._name("resumes")

    @property
    def proposals(self) -> str:
        """Hash: proposal id to proposal."""
        return self._name("proposals")

    def node(self, node_id: str) -> str:
        """String with a time to live: the last heartbeat of one node."""
        return self._name(f"nodes:{node_id}")

    @property
    def node_index(self) -> str:
        """Sorted set: node id by the time its heartbeat expires."""
        return self._name("nodes")

    @property
    def audit(self) -> str:
        """Stream: hash-chained audit entries."""
        return self._name("audit")

    @property
    def updates(self) -> str:
        """Stream: one short notification per change."""
        return self._name("updates")

    @property
    def lease(self) -> str:
        """Hash with a time to live: owner and fencing token of the learner's lease."""
        return self._name("lease:learner")

    @property
    def fence(self) -> str:
        """Counter: the last fencing token issued; it outlives every lease."""
        return self._name("lease:learner:fence")
