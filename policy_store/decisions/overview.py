"""The state of a store as one plain object, for `trimtab policy status`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from event_schemas.errors import ComponentUnreachable, TrimtabError
from policy_store.backends.store import NodeStatus, PolicyStore
from policy_store.decisions.experiment_reading import read_experiments_verified
from policy_store.decisions.file_differences import file_differences
from policy_store.decisions.kill_decisions import kill_state
from policy_store.decisions.node_refusals import node_refusals
from policy_store.decisions.rebase_reading import remembered_rebases
from policy_store.decisions.verification import TrustRule
from policy_store.decisions.verified_reading import read_channel_verified
from policy_store.records.channel_record import Channel, ChannelRecord
from policy_store.records.governed_record import SignedRecord
from policy_store.records.revision_rules import ReaderMemory
from policy_store.records.store_errors import RecordMalformed

VALID, EMPTY, WITHDRAWN = "valid", "empty", "withdrawn"
"""The states of a channel with which nothing is wrong."""


def store_overview(store: PolicyStore, rule: TrustRule, now_ms: int, digests: Mapping[str, str]) -> dict[str, Any]:
    """Channels and experiments with their state, open kills, live nodes, the learner that has the lease, the number of
    checkpoints and audit entries.

    `digests` are those of this process's experiment file; `differing_files` lists the processes with another one.
    `killed` is null when no verified kill holds, but there are records that cannot be verified. Raises
    StoreUnreachable.
    """
    kills, memory, nodes = kill_state(store, rule), remembered_rebases(store, rule), store.nodes()
    checkpoints = store.list_checkpoints()
    differences = file_differences(digests, nodes, checkpoints[-1] if checkpoints else None)
    return {
        "experiment": store.experiment,
        "killed": kills.killed,
        "open_kills": [each.as_dict() for each in kills.open_kills],
        "epoch": memory.epoch,
        "differing_files": [each.as_dict() for each in differences],
        "channels": [channel_overview(store, channel, rule, now_ms, memory, nodes) for channel in Channel],
        "experiments": _experiments(store, rule, memory),
        "checkpoints": len(checkpoints),
        "learner": store.lease_owner(),
        "nodes": [{"node": node.node_id, "status": dict(node.status)} for node in nodes],
        "audit_entries": len(store.audit_entries()),
    }


def _experiments(store: PolicyStore, rule: TrustRule, memory: ReaderMemory) -> dict[str, Any]:
    """The online experiments that run or will; `state` is `valid`, `empty`, or what is wrong with their record."""
    try:
        record = read_experiments_verified(store, rule, memory=memory)
    except ComponentUnreachable:
        raise
    except TrimtabError as error:
        return {"state": error.what, "fix": error.fix, "running": []}
    if record is None:
        return {"state": EMPTY, "running": []}
    return {"state": VALID, "running": [each.model_dump(mode="json") for each in record.running]}


def channel_overview(
    store: PolicyStore,
    channel: Channel,
    rule: TrustRule,
    now_ms: int,
    memory: ReaderMemory,
    nodes: Iterable[NodeStatus],
) -> dict[str, Any]:
    """What a channel says; `state` is `valid`, `empty`, or what is wrong with it, and then `fix` says what helps.

    `state` is by `rule`; `refused_by` lists the nodes that refuse the record all the same. Raises StoreUnreachable.
    """
    row: dict[str, Any] = {"channel": channel.value, "state": EMPTY}
    try:
        row |= _claims(store.channel(channel.value))
        verified = read_channel_verified(store, channel, rule, now_ms=now_ms, memory=memory)
    except ComponentUnreachable:
        raise
    except TrimtabError as error:
        row |= {"state": error.what, "fix": error.fix}
    else:
        if verified is not None:
            state = WITHDRAWN if verified.channel.withdrawn else VALID
            row |= {"state": state, "expires_at": verified.expires_at}
    return row | {"refused_by": _refused_by(row, nodes)}


def _refused_by(row: Mapping[str, Any], nodes: Iterable[NodeStatus]) -> list[dict[str, Any]]:
    return [
        {"node": node.node_id, "result": refusal.result, "notes": list(refusal.notes)}
        for node in nodes
        for refusal in node_refusals(node)
        if refusal.channel == row["channel"] and refusal.concerns(row)
    ]


def _claims(signed: SignedRecord | None) -> dict[str, Any]:
    """The record's own fields, verified or not."""
    if signed is None:
        return {}
    try:
        record = ChannelRecord.parse(signed.record)
    except RecordMalformed:
        return {"key_id": signed.key_id}
    fields = record.model_dump(mode="json", include={"version", "revision", "expires_at", "by", "reason"})
    return fields | {"key_id": signed.key_id}
