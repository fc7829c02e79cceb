"""What nodes report about the records they know. Heartbeats are not signed, so these are only claims; malformed parts
are ignored."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from policy_store.backends.store import NodeStatus, PolicyStore
from policy_store.records.governed_record import SignedRecord
from policy_store.records.rebase_record import RebaseRecord
from policy_store.records.revision_rules import MAX_REVISION, KnownRevision, counted_claim
from policy_store.records.store_errors import RecordMalformed, SignatureInvalid, StoreRefused

HASH_LENGTH = 64


@dataclass(frozen=True, slots=True)
class NodeClaims:
    """The fields `epoch`, `revisions` and `open_kills` of one heartbeat.

    open_kills           hash → the signed kill; None when the node gave no kill that matches the hash
    serves_experiments   whether the node tells of online experiments, which version 0.1.0 does not know
    """

    node_id: str
    epoch: int
    revisions: Mapping[str, int]
    open_kills: Mapping[str, SignedRecord | None]
    serves_experiments: bool = False

    @property
    def source(self) -> str:
        """`node <id>`, for people."""
        return f"node {self.node_id}"


def node_claims(nodes: Iterable[NodeStatus]) -> list[NodeClaims]:
    """The claims of all nodes."""
    return [_claims(node.node_id, node.status) for node in nodes]


def claims_of_live_nodes(store: PolicyStore) -> list[NodeClaims]:
    """The claims of the live nodes; none if Redis refuses to return them, as that must not stop publishing.

    Raises StoreUnreachable.
    """
    try:
        return node_claims(store.nodes())
    except StoreRefused:
        return []


def claimed_revisions(
    claims: Iterable[NodeClaims], slot: str, rebases: Collection[RebaseRecord], time_ms: int | None = None
) -> list[KnownRevision]:
    """The revisions that nodes report for one slot, as they count after the store's re-bases.

    `time_ms` is the store's time at a publication.
    """
    return [
        KnownRevision(counted_claim(each.revisions[slot], each.epoch, rebases, time_ms), each.source)
        for each in claims
        if slot in each.revisions
    ]


def _claims(node_id: str, status: Mapping[str, Any]) -> NodeClaims:
    revisions = {slot: _number(revision) for slot, revision in _object(status, "revisions").items()}
    kills = {
        name: _kill(name, item) for name, item in _object(status, "open_kills").items() if len(name) == HASH_LENGTH
    }
    experiments = isinstance(status.get("experiments"), dict)
    return NodeClaims(node_id, _number(status.get("epoch")), revisions, kills, experiments)


def _object(status: Mapping[str, Any], name: str) -> dict[str, Any]:
    content = status.get(name)
    return content if isinstance(content, dict) else {}


def _number(value: Any) -> int:
    return min(max(value, 0), MAX_REVISION) if isinstance(value, int) else 0


def _kill(name: str, item: Any) -> SignedRecord | None:
    try:
        signed = SignedRecord.from_item(item if isinstance(item, dict) else {}, f"kill {name}")
    except (RecordMalformed, SignatureInvalid):
        return None
    return signed if signed.hash == name else None
