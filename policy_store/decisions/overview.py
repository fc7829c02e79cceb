"""The state of a store as one plain object, for `trimtab policy status`."""

from __future__ import annotations

from typing import Any

from event_schemas.errors import ComponentUnreachable, TrimtabError
from policy_store.backends.store import PolicyStore
from policy_store.decisions.kill_decisions import kill_state
from policy_store.decisions.rebase_reading import remembered_rebases
from policy_store.decisions.verification import TrustRule, read_channel_verified
from policy_store.records.channel_record import Channel, ChannelRecord
from policy_store.records.governed_record import SignedRecord
from policy_store.records.revision_rules import ReaderMemory
from policy_store.records.store_errors import RecordMalformed


def store_overview(store: PolicyStore, rule: TrustRule, now_ms: int) -> dict[str, Any]:
    """Channels with their state, the kills that hold, live nodes, and the number of checkpoints and audit entries.

    `killed` is null when no verified kill holds, but there are records that cannot be verified. Raises
    StoreUnreachable.
    """
    kills, memory = kill_state(store, rule), remembered_rebases(store, rule)
    return {
        "experiment": store.experiment,
        "killed": kills.killed,
        "open_kills": [each.as_dict() for each in kills.open_kills],
        "epoch": memory.epoch,
        "channels": [channel_overview(store, channel, rule, now_ms, memory) for channel in Channel],
        "checkpoints": len(store.list_checkpoints()),
        "nodes": [{"node": node.node_id, "status": dict(node.status)} for node in store.nodes()],
        "audit_entries": len(store.audit_entries()),
    }


def channel_overview(
    store: PolicyStore, channel: Channel, rule: TrustRule, now_ms: int, memory: ReaderMemory
) -> dict[str, Any]:
    """What a channel says; `state` is `valid`, `empty`, or what is wrong with it, and then `fix` says what helps.

    Raises StoreUnreachable.
    """
    row: dict[str, Any] = {"channel": channel.value, "state": "empty"}
    try:
        row |= _claims(store.channel(channel.value))
        verified = read_channel_verified(store, channel, rule, now_ms=now_ms, memory=memory)
    except ComponentUnreachable:
        raise
    except TrimtabError as error:
        return row | {"state": error.what, "fix": error.fix}
    if verified is None:
        return row
    return row | {"state": "valid", "expires_at": verified.expires_at}


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
