"""The policy store in Redis, the one that processes share. Key by key: docs/reference/redis_keys.md."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

from policy_store import redis_scripts
from policy_store.audit import AuditEntry, AuditEvent, chain
from policy_store.canonical_json import canonical_json, parse_object
from policy_store.checkpoint_record import RESERVED_FIELDS, CheckpointManifest, SignedCheckpoint
from policy_store.governed_record import SignedRecord, decode_signature, encode_signature
from policy_store.key_names import KeyNames
from policy_store.preference_proposal import PreferenceProposal, ProposalStatus
from policy_store.preference_record import PreferenceRecord
from policy_store.record_slots import RecordSlots
from policy_store.redis_connection import RedisConnection
from policy_store.store import MAX_BLOCK_MS, UPDATES_LIMIT, Clock, Lease, NodeStatus, StoreUpdate, wall_clock_ms
from policy_store.store_change import (
    RecordChange,
    checkpoint_audited,
    checkpoint_change,
    lease_held,
    lease_lost,
    proposal_audited,
    proposal_conflict,
    record_change,
    revision_conflict,
    unknown_checkpoint,
    unknown_proposal,
    version_conflict,
)
from policy_store.store_errors import RecordMalformed, RevisionConflict

_AUDIT_ATTEMPTS = 500
_AUDIT_PAGE = 1000
_UPLOAD_TTL_MS = 600_000
_NODE_FORGOTTEN_MS = 86_400_000


class RedisStore(RecordSlots):
    """PolicyStore in Redis 6.2 or later. `clock` dates audit entries; leases and heartbeats expire by Redis' clock."""

    def __init__(self, url: str, experiment: str, *, clock: Clock = wall_clock_ms) -> None:
        """Connects on first use. Raises StoreUnreachable for an address that is none."""
        self._keys = KeyNames(experiment)
        self._clock = clock
        self._redis = RedisConnection(url)

    @property
    def experiment(self) -> str:
        """See PolicyStore."""
        return self._keys.experiment

    def close(self) -> None:
        """Give the connections back; the store opens new ones when used again."""
        self._redis.close()

    def put_checkpoint(self, checkpoint: SignedCheckpoint, *, fencing_token: int | None = None) -> None:
        """See PolicyStore. The blobs are uploaded under a name of their own, then moved into place at once."""
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
        answer = self._change(
            redis_scripts.PUT_CHECKPOINT,
            checkpoint_audited(checkpoint, manifest, self._clock()),
            [upload, self._keys.checkpoint(manifest.version), self._keys.checkpoint_index],
            [_text(fencing_token), manifest.version, manifest.created_at, checkpoint.manifest, signature],
        )
        if answer[0] == b"lease lost" and fencing_token is not None:
            raise lease_lost(fencing_token)
        if answer[0] == b"version taken":
            raise version_conflict(manifest.version)
        _require_done(answer)

    def get_checkpoint(self, version: str) -> SignedCheckpoint:
        """See PolicyStore."""
        key = self._keys.checkpoint(version)
        with self._redis.answering("reading a checkpoint"):
            if not self._redis.quick.exists(key):
                raise unknown_checkpoint(version)
            fields = _fields(self._redis.bulk.hgetall(key))
        what = f"checkpoint {version}"
        if not fields.keys() >= RESERVED_FIELDS:
            raise RecordMalformed(f"{what} lacks its manifest or signature", mend="publish a new checkpoint")
        return SignedCheckpoint(
            manifest=fields["manifest"],
            signature=decode_signature(fields["signature"], what),
            key_id=fields["key_id"].decode("utf-8", "replace"),
            blobs={name: blob for name, blob in fields.items() if name not in RESERVED_FIELDS},
        )

    def list_checkpoints(self) -> list[CheckpointManifest]:
        """See PolicyStore."""
        with self._redis.answering("listing the checkpoints"):
            versions = cast(list[bytes], self._redis.quick.zrange(self._keys.checkpoint_index, 0, -1))
            with self._redis.quick.pipeline(transaction=False) as pipeline:
                for version in versions:
                    pipeline.hget(self._keys.checkpoint(version.decode()), "manifest")
                manifests = pipeline.execute()
        return [CheckpointManifest.parse(payload) for payload in manifests if payload is not None]

    def propose(self, proposal: PreferenceProposal) -> None:
        """See PolicyStore."""
        if not self._keep_proposal(proposal, status_now=""):
            raise proposal_conflict(proposal.proposal_id)

    def approve(self, decided: PreferenceProposal, record: SignedRecord, *, parent_revision: int | None) -> None:
        """See PolicyStore."""
        change = record_change(self.experiment, (PreferenceRecord,), record, parent_revision)
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

    def history(self, slot: str) -> list[SignedRecord]:
        """See PolicyStore."""
        with self._redis.answering("reading a history"):
            items = cast(list[bytes], self._redis.quick.lrange(self._keys.history(slot), 0, -1))
        return [_signed(parse_object(item, f"the history of {slot}"), f"the history of {slot}") for item in items]

    def audit_entries(self) -> list[AuditEntry]:
        """See PolicyStore."""
        entries: list[AuditEntry] = []
        start = "-"
        with self._redis.answering("reading the audit"):
            while page := _stream(self._redis.quick.xrange(self._keys.audit, min=start, count=_AUDIT_PAGE)):
                entries += [_audit_entry(fields) for _, fields in page]
                start = f"({page[-1][0]}"
        return entries

    def append_audit(self, actor: str, action: str, detail: Mapping[str, Any]) -> None:
        """See PolicyStore."""
        event = AuditEvent(self._clock(), actor, action, detail)
        _require_done(self._change(redis_scripts.APPEND_AUDIT, event, [], []))

    def updates_since(self, last_id: str, block_ms: int = 0) -> Sequence[StoreUpdate]:
        """See PolicyStore."""
        block = min(block_ms, MAX_BLOCK_MS) if block_ms > 0 else None
        with self._redis.answering("reading the updates"):
            streams = self._redis.quick.xread({self._keys.updates: last_id}, count=UPDATES_LIMIT, block=block)
        return [
            # An entry without them still says that something happened.
            StoreUpdate(update_id, *(fields.get(name, b"").decode("utf-8", "replace") for name in ("slot", "value")))
            for _, entries in cast(list[tuple[bytes, Any]], streams or [])
            for update_id, fields in _stream(entries)
        ]

    def heartbeat(self, node_id: str, status: Mapping[str, Any], ttl_s: float) -> None:
        """See PolicyStore."""
        payload, now, ttl_ms = canonical_json(dict(status)), self._clock(), round(ttl_s * 1000)
        with (
            self._redis.answering("sending a heartbeat"),
            self._redis.quick.pipeline(transaction=True) as pipeline,
        ):
            pipeline.set(self._keys.node(node_id), payload, px=ttl_ms)
            pipeline.zadd(self._keys.node_index, {node_id: now + ttl_ms})
            pipeline.zremrangebyscore(self._keys.node_index, 0, now - _NODE_FORGOTTEN_MS)
            pipeline.execute()

    def nodes(self) -> list[NodeStatus]:
        """See PolicyStore."""
        with self._redis.answering("reading the nodes"):
            members = cast(list[bytes], self._redis.quick.zrange(self._keys.node_index, 0, -1))
            ids = sorted(member.decode() for member in members)
            payloads = self._redis.quick.mget([self._keys.node(each) for each in ids]) if ids else []
        return [
            NodeStatus(node_id, parse_object(payload, f"the heartbeat of node {node_id}"))
            for node_id, payload in zip(ids, cast(list[bytes | None], payloads), strict=True)
            if payload is not None
        ]

    def acquire_lease(self, owner: str, ttl_s: float) -> Lease:
        """See PolicyStore."""
        keys = [self._keys.lease, self._keys.fence]
        answer = self._run(redis_scripts.ACQUIRE_LEASE, keys, [owner, round(ttl_s * 1000), self._clock()])
        if answer[0] == b"held":
            raise lease_held(answer[1].decode("utf-8", "replace"), int(answer[2]))
        return Lease(owner, int(answer[1]), ttl_s)

    def renew_lease(self, lease: Lease) -> None:
        """See PolicyStore."""
        answer = self._run(redis_scripts.RENEW_LEASE, [self._keys.lease], [lease.token, round(lease.ttl_s * 1000)])
        if answer[0] != redis_scripts.DONE:
            raise lease_lost(lease.token)

    def release_lease(self, lease: Lease) -> None:
        """See PolicyStore."""
        self._run(redis_scripts.RELEASE_LEASE, [self._keys.lease], [lease.token])

    def _current(self, slot: str) -> SignedRecord | None:
        with self._redis.answering(f"reading {slot}"):
            fields = _fields(self._redis.quick.hgetall(self._keys.slot(slot)))
        return (
            _signed({name: value.decode("utf-8", "replace") for name, value in fields.items()}, slot)
            if fields
            else None
        )

    def _publish(self, change: RecordChange) -> None:
        slot, signed, closes = change.parsed.slot, change.signed, change.closes
        signature = encode_signature(signed.signature)
        item = {"record": signed.record.decode("utf-8"), "signature": signature, "key_id": signed.key_id}
        answer = self._change(
            redis_scripts.PUBLISH,
            change.audited(self._clock()),
            self._keys_touched_by(change),
            [
                *(signed.record, signature, signed.key_id),
                *(change.parsed.revision, _text(change.parent_revision), _text(change.fencing_token)),
                *(change.points_to or "", slot, canonical_json(item)),
                *(("", "") if closes is None else (closes.proposal_id, closes.canonical())),
            ],
        )
        _require_published(answer, change)

    def _keys_touched_by(self, change: RecordChange) -> list[str]:
        """Slot, history, checkpoint, proposals; the slot stands in for what is not needed, so that a Redis user may
        be limited to the slots of its role."""
        slot = self._keys.slot(change.parsed.slot)
        checkpoint = slot if change.points_to is None else self._keys.checkpoint(change.points_to)
        proposals = slot if change.closes is None else self._keys.proposals
        return [slot, self._keys.history(change.parsed.slot), checkpoint, proposals]

    def _keep_proposal(self, proposal: PreferenceProposal, *, status_now: str) -> bool:
        answer = self._change(
            redis_scripts.KEEP_PROPOSAL,
            proposal_audited(proposal, self._clock()),
            [self._keys.proposals],
            [proposal.proposal_id, proposal.canonical(), status_now],
        )
        return bool(answer[0] == redis_scripts.DONE)

    def _change(self, script: str, event: AuditEvent, keys: list[str], arguments: list[Any]) -> list[Any]:
        """Run a script with the audit entry that follows the last one; again when another writer was quicker."""
        audit_only = script is redis_scripts.APPEND_AUDIT
        common = [self._keys.audit] * 3 if audit_only else [self._keys.audit, self._keys.updates, self._keys.lease]
        for _ in range(_AUDIT_ATTEMPTS):
            previous = self._last_audit()
            entry = chain(event, previous)
            audit = ["" if previous is None else previous.hash, entry.entry, entry.hash]
            answer = self._run(script, common + keys, audit + arguments)
            if answer[0] != redis_scripts.AUDIT_MOVED:
                return answer
        raise RevisionConflict("too many writers append to the audit at once", mend="try again in a moment")

    def _last_audit(self) -> AuditEntry | None:
        with self._redis.answering("reading the audit"):
            last = _stream(self._redis.quick.xrevrange(self._keys.audit, count=1))
        return _audit_entry(last[0][1]) if last else None

    def _run(self, script: str, keys: list[str], arguments: list[Any]) -> list[Any]:
        with self._redis.answering("running a script"):
            return cast(list[Any], self._redis.quick.register_script(script)(keys=keys, args=arguments))


def _require_published(answer: list[Any], change: RecordChange) -> None:
    outcome = answer[0]
    if outcome == b"conflict":
        raise revision_conflict(change, int(answer[1]) if answer[1] else None)
    if outcome == b"lease lost" and change.fencing_token is not None:
        raise lease_lost(change.fencing_token)
    if outcome == b"unknown checkpoint" and change.points_to is not None:
        raise unknown_checkpoint(change.points_to)
    if outcome == b"unknown proposal" and change.closes is not None:
        raise unknown_proposal(change.closes.proposal_id)
    if outcome == b"malformed":
        raise RecordMalformed(
            f"{change.parsed.slot} holds something that is no record",
            mend="the store was edited by hand: delete that key, look at the audit, and publish again",
        )
    _require_done(answer)


def _require_done(answer: list[Any]) -> None:
    if answer[0] != redis_scripts.DONE:
        raise RevisionConflict(f"nothing was changed: {answer[0].decode()}", mend="read the store again and retry")


def _text(number: int | None) -> str:
    return "" if number is None else str(number)


def _fields(answer: Any) -> dict[str, bytes]:
    return {name.decode("utf-8", "replace"): value for name, value in answer.items()}


def _stream(answer: Any) -> list[tuple[str, dict[str, bytes]]]:
    return [(entry_id.decode(), _fields(fields)) for entry_id, fields in answer]


def _audit_entry(fields: dict[str, bytes]) -> AuditEntry:
    return AuditEntry(fields.get("entry", b""), fields.get("hash", b"").decode("ascii", "replace"))


def _signed(fields: Mapping[str, Any], what: str) -> SignedRecord:
    if not all(isinstance(fields.get(name), str) for name in ("record", "signature", "key_id")):
        raise RecordMalformed(f"{what} lacks its record, signature or key id", mend="publish a new record")
    signature = decode_signature(fields["signature"], what)
    return SignedRecord(fields["record"].encode("utf-8"), signature, fields["key_id"])
