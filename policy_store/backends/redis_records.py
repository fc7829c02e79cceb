"""The governed records of the store in Redis: slots, histories, kills and resumes, re-bases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from redis.exceptions import NoPermissionError, ResponseError

from policy_store.backends import redis_control_scripts, redis_scripts
from policy_store.backends.key_names import KeyNames
from policy_store.backends.record_slots import RecordSlots
from policy_store.backends.redis_changes import RedisChanges, text_fields
from policy_store.backends.redis_connection import RedisConnection
from policy_store.backends.store import HISTORY_LIMIT, Clock
from policy_store.backends.store_change import (
    RecordChange,
    lease_lost,
    revision_conflict,
    slot_moved,
    unknown_checkpoint,
    unknown_proposal,
)
from policy_store.records.canonical_json import canonical_json, parse_object
from policy_store.records.control_record import CONTROL_SLOT, ControlRecord, ControlRecords
from policy_store.records.governed_record import SignedRecord, encode_signature
from policy_store.records.rebase_record import SlotRemoval
from policy_store.records.store_errors import RecordMalformed, RevisionConflict, SignatureInvalid

FIELDS = ["record", "signature", "key_id"]


class RedisRecords(RecordSlots):
    """The part of RedisStore for signed records."""

    def __init__(self, url: str, experiment: str, clock: Clock) -> None:
        """`clock` gives the time of audit entries."""
        self._keys = KeyNames(experiment)
        self._clock = clock
        self._redis = RedisConnection(url)
        self._changes = RedisChanges(self._redis, self._keys)

    @property
    def experiment(self) -> str:
        """See PolicyStore."""
        return self._keys.experiment

    def history(self, slot: str) -> list[SignedRecord]:
        """See PolicyStore."""
        what = f"the history of {slot}"
        with self._redis.answering("reading a history"):
            items = cast(list[bytes], self._redis.quick.lrange(self._keys.history(slot), 0, -1))
        return [SignedRecord.from_item(parse_object(item, what), what) for item in items]

    def known_records(self, slot: str) -> list[SignedRecord]:
        """See PolicyStore."""
        with self._redis.answering(f"reading {slot}"), self._redis.quick.pipeline(transaction=False) as pipeline:
            pipeline.hmget(self._keys.slot(slot), FIELDS)
            pipeline.lrange(self._keys.history(slot), 0, HISTORY_LIMIT - 1)
            answers = pipeline.execute(raise_on_error=False)
            for answer in answers:
                # A key of the wrong type holds no record, but one that this user may not read could hold any.
                if isinstance(answer, NoPermissionError):
                    raise answer
        found, (current, history) = _Readable(), answers
        held = found.slot(current, slot)
        records = [each for each in found.items(history, f"the history of {slot}") if each is not None]
        return records if held is None or held in records[:1] else [held, *records]

    def slot_bytes(self, slot: str) -> bytes:
        """See PolicyStore."""
        with self._redis.answering(f"reading {slot}"), self._redis.quick.pipeline(transaction=False) as pipeline:
            pipeline.hget(self._keys.slot(slot), "record")
            [held] = pipeline.execute(raise_on_error=False)
        return held if isinstance(held, bytes) else b""

    def control_records(self) -> ControlRecords:
        """See PolicyStore. Resumes are read last, so that no resume of a kill read before is missed."""
        keys, found = self._keys, _Readable()
        with self._redis.answering("reading the kills"), self._redis.quick.pipeline(transaction=False) as pipeline:
            pipeline.hmget(keys.slot(CONTROL_SLOT), FIELDS)
            pipeline.hgetall(keys.kills)
            pipeline.lrange(keys.history(CONTROL_SLOT), 0, HISTORY_LIMIT - 1)
            pipeline.hgetall(keys.resumes)
            slot, kills, history, resumes = answers = pipeline.execute(raise_on_error=False)
            if all(isinstance(each, NoPermissionError) for each in answers):  # any readable key could hold the kill
                raise answers[0]
        return ControlRecords(
            slot=found.slot(slot, CONTROL_SLOT),
            kills=found.fields(kills, "kills"),
            resumes=found.fields(resumes, "resumes"),
            history=tuple(found.items(history, "the history of control")),
            faults=tuple(found.faults),
        )

    def is_resumed(self, kill_hash: str) -> bool:
        """See PolicyStore."""
        with self._redis.answering("reading the resumes"):
            return bool(self._redis.quick.hexists(self._keys.resumes, kill_hash))

    def _current(self, slot: str) -> SignedRecord | None:
        with self._redis.answering(f"reading {slot}"):
            values = cast(list[bytes | None], self._redis.quick.hmget(self._keys.slot(slot), FIELDS))
        return _in_slot(values, slot)

    def _publish(self, change: RecordChange) -> None:
        slot, signed, closes = change.parsed.slot, change.signed, change.closes
        answer = self._changes.change(
            redis_scripts.PUBLISH,
            change.audited(self._clock()),
            self._keys_touched_by(change),
            [
                *_stored(signed),
                *(change.parsed.revision, _text(change.parent_revision), _text(change.fencing_token)),
                *(change.points_to or "", slot, canonical_json(signed.as_item())),
                *(("", "") if closes is None else (closes.proposal_id, closes.canonical())),
            ],
        )
        _require_published(answer, change)

    def _publish_control(self, change: RecordChange, record: ControlRecord) -> None:
        keys, signed = self._keys, change.signed
        self._changes.change_anyway(
            redis_control_scripts.PUBLISH_CONTROL,
            change.audited(self._clock()),
            [keys.slot(CONTROL_SLOT), keys.history(CONTROL_SLOT), keys.kills, keys.resumes],
            [
                *(*_stored(signed), record.revision, canonical_json(signed.as_item())),
                *(("kill", signed.hash) if record.killed else ("resume", *record.resumes)),
            ],
        )

    def _publish_rebase(self, change: RecordChange, removals: Sequence[SlotRemoval]) -> None:
        keys: list[str] = []
        arguments: list[Any] = [
            *(*_stored(change.signed), change.parsed.revision, canonical_json(change.signed.as_item()))
        ]
        for each in removals:
            keys += [self._keys.slot(each.slot), self._keys.history(each.slot)]
            left = ("", "", "") if each.left is None else _stored(each.left)
            voided = [record.record for record in each.voided]
            arguments += [each.slot, each.found, *left, len(voided), *voided]
        event = change.audited(self._clock())
        answer = self._changes.change(redis_control_scripts.PUBLISH_REBASE, event, keys, arguments)
        if answer[0] == redis_control_scripts.MOVED:
            raise slot_moved(answer[1].decode())
        require_done(answer)

    def _keys_touched_by(self, change: RecordChange) -> list[str]:
        """Slot, history, checkpoint, proposals; the slot is a placeholder for keys not needed, so that a Redis user can
        be limited to the slots of its role."""
        slot = self._keys.slot(change.parsed.slot)
        checkpoint = slot if change.points_to is None else self._keys.checkpoint(change.points_to)
        proposals = slot if change.closes is None else self._keys.proposals
        return [slot, self._keys.history(change.parsed.slot), checkpoint, proposals]


class _Readable:
    """Reads signed records from Redis's answers; `faults` says which parts could not be read."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def slot(self, answer: Any, what: str) -> SignedRecord | None:
        """The record in the fields of a slot; None when there is none or it cannot be read."""
        try:
            return _in_slot(answer, what) if self._is(list, answer, what) else None
        except (RecordMalformed, SignatureInvalid) as fault:
            self.faults.append(fault.what)
            return None

    def fields(self, answer: Any, what: str) -> dict[str, SignedRecord]:
        """The records in the fields of a hash, by field."""
        if not self._is(dict, answer, what):
            return {}
        read = {name: _record(item, what) for name, item in text_fields(answer).items()}
        self.faults += [
            f"{what}: field {name} is not a signed record" for name, record in read.items() if record is None
        ]
        return {name: record for name, record in read.items() if record is not None}

    def items(self, answer: Any, what: str) -> list[SignedRecord | None]:
        """The items of a list; None, without a fault, for an item that is not a signed record."""
        return [_record(item, what) for item in answer] if self._is(list, answer, what) else []

    def _is(self, kind: type, answer: Any, what: str) -> bool:
        if isinstance(answer, ResponseError):
            self.faults.append(f"{what} cannot be read: {answer}")
        return isinstance(answer, kind)


def _in_slot(values: Sequence[bytes | None], slot: str) -> SignedRecord | None:
    """The record with these fields; None when there are none. Raises RecordMalformed, SignatureInvalid."""
    texts = {name: value.decode("utf-8", "replace") for name, value in zip(FIELDS, values, strict=True) if value}
    return SignedRecord.from_item(texts, slot) if texts else None


def _record(item: bytes, what: str) -> SignedRecord | None:
    try:
        return SignedRecord.from_item(parse_object(item, what), what)
    except (RecordMalformed, SignatureInvalid):
        return None


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
            f"{change.parsed.slot} holds something that is not a record",
            fix="the store was edited by hand: delete that key, check the audit, and publish again",
        )
    require_done(answer)


def require_done(answer: list[Any]) -> None:
    """Raises RevisionConflict unless the script says that it is done."""
    if answer[0] != redis_scripts.DONE:
        raise RevisionConflict(f"nothing was changed: {answer[0].decode()}", fix="read the store again and retry")


def _stored(signed: SignedRecord) -> tuple[bytes, str, str]:
    """The fields of a slot."""
    return signed.record, encode_signature(signed.signature), signed.key_id


def _text(number: int | None) -> str:
    return "" if number is None else str(number)
