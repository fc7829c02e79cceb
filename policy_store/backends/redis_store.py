"""The policy store in Redis, which processes share. docs/reference/redis_keys.md lists its keys."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

from redis.exceptions import NoPermissionError

from event_schemas.instant import wall_clock_ms
from policy_store.backends import redis_scripts
from policy_store.backends.redis_changes import audit_entry, stream, text_fields
from policy_store.backends.redis_records import RedisRecords, require_done
from policy_store.backends.store import (
    HEARTBEAT_LIMIT_MS,
    MAX_BLOCK_MS,
    UPDATES_LIMIT,
    Clock,
    Lease,
    NodeStatus,
    StoreUpdate,
)
from policy_store.backends.store_change import (
    checkpoint_audited,
    checkpoint_change,
    lease_held,
    lease_lost,
    proposal_audited,
    proposal_conflict,
    unknown_checkpoint,
    unknown_proposal,
    version_conflict,
)
from policy_store.records.audit import AuditEntry, AuditEvent
from policy_store.records.canonical_json import canonical_json, parse_object
from policy_store.records.checkpoint_record import RESERVED_FIELDS, CheckpointManifest, SignedCheckpoint
from policy_store.records.governed_record import SignedRecord, decode_signature, encode_signature
from policy_store.records.preference_proposal import PreferenceProposal, ProposalStatus
from policy_store.records.preference_record import PreferenceRecord
from policy_store.records.revision_rules import UNKNOWN_LEASE_MS
from policy_store.records.store_errors import RecordMalformed, StoreRefused

_AUDIT_PAGE = 1000
_UPLOAD_TTL_MS = 600_000


class RedisStore(RedisRecords):
    """PolicyStore in Redis 6.2 or later; its time is that of the Redis server."""

    def __init__(self, url: str, experiment: str, *, clock: Clock = wall_clock_ms) -> None:
        """Connects on first use; `clock` gives the time of audit entries. Raises StoreUnreachable for a bad address."""
        super().__init__(url, experiment, clock)

    def close(self) -> None:
        """Closes the connections; the store opens new ones when it is used again."""
        self._redis.close()

    def time_ms(self) -> int:
        """See PolicyStore. If the Redis user may not run TIME, the id of a new stream's entry gives the time."""
        with self._redis.answering("asking for the time"):
            try:
                seconds, micros = cast(tuple[int, int], self._redis.quick.time())
                return seconds * 1_000 + micros // 1_000
            except NoPermissionError:
                answer = self._changes.run(redis_scripts.TIME_OF_AN_ENTRY, [self._keys.upload("clock")], [])
                return int(answer[1].partition(b"-")[0])

    def put_checkpoint(self, checkpoint: SignedCheckpoint, *, fencing_token: int | None = None) -> None:
        """See PolicyStore. The blobs are uploaded under a temporary name, then renamed in one step."""
        manifest = checkpoint_change(self.experiment, checkpoint)
        signature = encode_signature(checkpoint.signature)
        upload = self._keys.upload(hashlib.sha256(checkpoint.manifest + checkpoint.signature).hexdigest())
        fields: dict[str, bytes | str] = dict(checkpoint.blobs)
        fields |= {"manifest": checkpoint.manifest, "signature": signature, "key_id": checkpoint.key_id}
        with self._redis.answering("uploading a checkpoint"):
            self._redis.quick.ping()
            with self._redis.bulk.pipeline(transaction=True) as pipeline:
                pipeline.hset(upload, mapping=cast(dict[Any, Any], fields))
                pipeline.pexpire(upload, _UPLOAD_TTL_MS)
                pipeline.execute()
        answer = self._changes.change(
            redis_scripts.PUT_CHECKPOINT,
            checkpoint_audited(checkpoint, manifest, self._clock()),
            [upload, self._keys.checkpoint(manifest.version), self._keys.checkpoint_index],
            [_text(fencing_token), manifest.version, checkpoint.manifest, signature],
        )
        if answer[0] == b"lease lost" and fencing_token is not None:
            raise lease_lost(fencing_token)
        if answer[0] == b"version taken":
            raise version_conflict(manifest.version)
        require_done(answer)

    def get_checkpoint(self, version: str) -> SignedCheckpoint:
        """See PolicyStore."""
        key = self._keys.checkpoint(version)
        with self._redis.answering("reading a checkpoint"):
            if not self._redis.quick.exists(key):
                raise unknown_checkpoint(version)
            fields = text_fields(self._redis.bulk.hgetall(key))
        what = f"checkpoint {version}"
        if not fields.keys() >= RESERVED_FIELDS:
            raise RecordMalformed(f"{what} lacks its manifest or signature", fix="publish a new checkpoint")
        return SignedCheckpoint(
            manifest=fields["manifest"],
            signature=decode_signature(fields["signature"], what),
            key_id=fields["key_id"].decode("utf-8", "replace"),
            blobs={name: blob for name, blob in fields.items() if name not in RESERVED_FIELDS},
        )

    def versions(self) -> list[str]:
        """See PolicyStore."""
        with self._redis.answering("listing the checkpoints"):
            members = cast(list[bytes], self._redis.quick.zrange(self._keys.checkpoint_index, 0, -1))
        return [member.decode("utf-8", "replace") for member in members]

    def list_checkpoints(self) -> list[CheckpointManifest]:
        """See PolicyStore."""
        versions = self.versions()
        with (
            self._redis.answering("listing the checkpoints"),
            self._redis.quick.pipeline(transaction=False) as pipeline,
        ):
            for version in versions:
                pipeline.hget(self._keys.checkpoint(version), "manifest")
            manifests = pipeline.execute()
        return [CheckpointManifest.parse(payload) for payload in manifests if payload is not None]

    def propose(self, proposal: PreferenceProposal) -> None:
        """See PolicyStore."""
        if not self._keep_proposal(proposal, status_now=""):
            raise proposal_conflict(proposal.proposal_id)

    def approve(self, decided: PreferenceProposal, record: SignedRecord, *, parent_revision: int | None) -> None:
        """See PolicyStore."""
        change = self._ordered((PreferenceRecord,), record, parent_revision)
        self._publish(change.closing(decided))

    def reject(self, decided: PreferenceProposal) -> None:
        """See PolicyStore."""
        if not self._keep_proposal(decided, status_now=ProposalStatus.OPEN.value):
            raise unknown_proposal(decided.proposal_id)

    def proposals(self) -> list[PreferenceProposal]:
        """See PolicyStore."""
        with self._redis.answering("reading the proposals"):
            payloads = cast(list[bytes], self._redis.quick.hvals(self._keys.proposals))
        proposals = [PreferenceProposal.parse(payload) for payload in payloads]
        return sorted(proposals, key=lambda each: (each.created_at, each.proposal_id))

    def audit_entries(self) -> list[AuditEntry]:
        """See PolicyStore."""
        entries: list[AuditEntry] = []
        start = "-"
        with self._redis.answering("reading the audit"):
            while page := stream(self._redis.quick.xrange(self._keys.audit, min=start, count=_AUDIT_PAGE)):
                entries += [audit_entry(fields) for _, fields in page]
                start = f"({page[-1][0]}"
        return entries

    def append_audit(self, actor: str, action: str, detail: Mapping[str, Any]) -> None:
        """See PolicyStore."""
        event = AuditEvent(self._clock(), actor, action, detail)
        require_done(self._changes.change(redis_scripts.APPEND_AUDIT, event, [], []))

    def updates_since(self, last_id: str, block_ms: int = 0) -> Sequence[StoreUpdate]:
        """See PolicyStore."""
        block = min(block_ms, MAX_BLOCK_MS) if block_ms > 0 else None
        with self._redis.answering("reading the updates"):
            streams = self._redis.quick.xread({self._keys.updates: last_id}, count=UPDATES_LIMIT, block=block)
        return [
            # An entry without these fields still says that something has changed.
            StoreUpdate(update_id, *(fields.get(name, b"").decode("utf-8", "replace") for name in ("slot", "value")))
            for _, entries in cast(list[tuple[bytes, Any]], streams or [])
            for update_id, fields in stream(entries)
        ]

    def newest_update(self) -> str:
        """See PolicyStore."""
        with self._redis.answering("reading the updates"):
            newest = stream(self._redis.quick.xrevrange(self._keys.updates, count=1))
        return newest[0][0] if newest else "0"

    def heartbeat(self, node_id: str, status: Mapping[str, Any], ttl_s: float) -> Mapping[str, Any]:
        """See PolicyStore."""
        payload, ttl_ms = canonical_json(dict(status)), min(round(ttl_s * 1000), HEARTBEAT_LIMIT_MS)
        with (
            self._redis.answering("sending a heartbeat"),
            self._redis.quick.pipeline(transaction=True) as pipeline,
        ):
            pipeline.get(self._keys.node(node_id))
            pipeline.set(self._keys.node(node_id), payload, px=ttl_ms)
            pipeline.zadd(self._keys.node_index, {node_id: self._clock() + ttl_ms})
            before, *done = pipeline.execute(raise_on_error=False)
            # A key of another type cannot be read, but it is replaced.
            for fault in done:
                if isinstance(fault, Exception):
                    raise fault
        return _heartbeat(before)

    def nodes(self) -> list[NodeStatus]:
        """See PolicyStore. Also removes nodes without a heartbeat from the index, if this Redis user may write it."""
        with self._redis.answering("reading the nodes"):
            members = cast(list[bytes], self._redis.quick.zrange(self._keys.node_index, 0, -1))
            ids = sorted(member.decode("utf-8", "replace") for member in members)
            with self._redis.quick.pipeline(transaction=False) as pipeline:
                for each in ids:
                    pipeline.get(self._keys.node(each))
                    pipeline.pttl(self._keys.node(each))
                answers = pipeline.execute(raise_on_error=False)
        payloads = {each: answers[2 * at] for at, each in enumerate(ids)}
        # A heartbeat that lasts longer than the limit was written before Redis's clock was set back.
        alive = {each for at, each in enumerate(ids) if 0 < _number(answers[2 * at + 1]) <= HEARTBEAT_LIMIT_MS}
        self._forget([each for each in ids if payloads[each] is None])
        return [NodeStatus(each, _heartbeat(payloads[each])) for each in ids if each in alive]

    def acquire_lease(self, owner: str, ttl_s: float) -> Lease:
        """See PolicyStore."""
        keys = [self._keys.lease, self._keys.fence]
        answer = self._changes.run(redis_scripts.ACQUIRE_LEASE, keys, [owner, round(ttl_s * 1000), self.time_ms()])
        if answer[0] == b"held":
            raise lease_held(answer[1].decode("utf-8", "replace"), int(answer[2]))
        return Lease(owner, int(answer[1]), ttl_s)

    def lease_owner(self) -> str | None:
        """See PolicyStore."""
        with self._redis.answering("reading the lease"), self._redis.quick.pipeline(transaction=True) as pipeline:
            pipeline.hmget(self._keys.lease, ["owner", "ttl"])
            pipeline.pttl(self._keys.lease)
            fields, left = pipeline.execute(raise_on_error=False)
            if isinstance(fields, NoPermissionError):
                raise fields
        # As when it is acquired: what is of another type, or would outlive its term, is nobody's.
        owner, ttl = fields if isinstance(fields, list) else (None, None)
        term = int(ttl) if isinstance(ttl, bytes) and ttl.isdigit() else UNKNOWN_LEASE_MS
        return owner.decode("utf-8", "replace") if owner is not None and 0 <= _number(left) <= term else None

    def renew_lease(self, lease: Lease) -> None:
        """See PolicyStore."""
        answer = self._changes.run(
            redis_scripts.RENEW_LEASE, [self._keys.lease], [lease.token, round(lease.ttl_s * 1000)]
        )
        if answer[0] != redis_scripts.DONE:
            raise lease_lost(lease.token)

    def release_lease(self, lease: Lease) -> None:
        """See PolicyStore."""
        self._changes.run(redis_scripts.RELEASE_LEASE, [self._keys.lease], [lease.token])

    def _keep_proposal(self, proposal: PreferenceProposal, *, status_now: str) -> bool:
        answer = self._changes.change(
            redis_scripts.KEEP_PROPOSAL,
            proposal_audited(proposal, self._clock()),
            [self._keys.proposals],
            [proposal.proposal_id, proposal.canonical(), status_now],
        )
        return bool(answer[0] == redis_scripts.DONE)

    def _forget(self, ids: list[str]) -> None:
        if not ids:
            return
        try:
            keys = [self._keys.node_index, *(self._keys.node(each) for each in ids)]
            self._changes.run(redis_scripts.FORGET_NODES, keys, list[Any](ids))
        except StoreRefused:
            return  # this Redis user may only read; another process will remove them


def _heartbeat(payload: Any) -> dict[str, Any]:
    try:
        return parse_object(payload, "a heartbeat") if isinstance(payload, bytes) else {}
    except RecordMalformed:
        return {}


def _number(answer: Any) -> int:
    return answer if isinstance(answer, int) else 0


def _text(number: int | None) -> str:
    return "" if number is None else str(number)
