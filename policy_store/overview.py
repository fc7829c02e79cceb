"""The state of a store as one plain object: for `trimtab policy status` and for a person's first look."""

from __future__ import annotations

from typing import Any

from event_schemas.errors import ComponentUnreachable, TrimtabError
from policy_store.channel_record import Channel, ChannelRecord
from policy_store.governed_record import SignedRecord
from policy_store.store import PolicyStore
from policy_store.store_errors import RecordMalformed
from policy_store.verification import TrustRule, read_channel_verified, read_control_verified


def store_overview(store: PolicyStore, rule: TrustRule, now_ms: int) -> dict[str, Any]:
    """Channels with their state, the kill switch, live nodes, number of checkpoints and audit entries.

    A channel's `state` is `valid`, `empty`, or what is wrong with it. `killed` is null when the control record does
    not verify. Raises StoreUnreachable.
    """
    return {
        "experiment": store.experiment,
        "killed": _killed(store, rule),
        "channels": [_channel(store, channel, rule, now_ms) for channel in Channel],
        "checkpoints": len(store.list_checkpoints()),
        "nodes": [{"node": node.node_id, "status": dict(node.status)} for node in store.nodes()],
        "audit_entries": len(store.audit_entries()),
    }


def _channel(store: PolicyStore, channel: Channel, rule: TrustRule, now_ms: int) -> dict[str, Any]:
    signed = store.channel(channel.value)
    row: dict[str, Any] = {"channel": channel.value, "state": "empty", **_claims(signed)}
    if signed is None:
        return row
    try:
        verified = read_channel_verified(store, channel, rule, now_ms=now_ms)
    except ComponentUnreachable:
        raise
    except TrimtabError as error:
        return row | {"state": error.what}
    if verified is None:
        return row
    return row | {"state": "valid", "expires_at": verified.expires_at}


def _claims(signed: SignedRecord | None) -> dict[str, Any]:
    """What the record says of itself, verified or not."""
    if signed is None:
        return {}
    try:
        record = ChannelRecord.parse(signed.record)
    except RecordMalformed:
        return {"key_id": signed.key_id}
    fields = record.model_dump(mode="json", include={"version", "revision", "expires_at", "by", "reason"})
    return fields | {"key_id": signed.key_id}


def _killed(store: PolicyStore, rule: TrustRule) -> bool | None:
    try:
        control = read_control_verified(store, rule)
    except ComponentUnreachable:
        raise
    except TrimtabError:
        return None
    return control is not None and control.killed
