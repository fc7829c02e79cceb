"""Changes to a store by others: clients that write raw records, people who empty it, backups. For both stores."""

from __future__ import annotations

import copy
from typing import Any, Protocol

import redis

from policy_store.backends.key_names import KeyNames
from policy_store.backends.memory_store import MemoryStore
from policy_store.backends.store import PolicyStore
from policy_store.records.canonical_json import canonical_json
from policy_store.records.governed_record import SignedRecord, encode_signature


class ForeignHands(Protocol):
    """What others may do to a store without using PolicyStore."""

    @property
    def store(self) -> PolicyStore:
        """The store as others see it."""
        ...

    def put(self, slot: str, signed: SignedRecord) -> None:
        """Write a record into a slot and nowhere else."""
        ...

    def publish_as_0_1_0(self, slot: str, signed: SignedRecord) -> None:
        """Write a record into slot and history, as version 0.1.0 did, whatever its revision."""
        ...

    def empty(self) -> None:
        """Delete everything."""
        ...

    def backup(self) -> Any:
        """A copy of everything in the store."""
        ...

    def restore(self, backup: Any) -> None:
        """Replace the content by that of a backup."""
        ...


class MemoryHands:
    """On a MemoryStore."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store

    def put(self, slot: str, signed: SignedRecord) -> None:
        self.store._contents.slots[slot] = signed

    def publish_as_0_1_0(self, slot: str, signed: SignedRecord) -> None:
        self.put(slot, signed)
        self.store._contents.histories.setdefault(slot, []).insert(0, signed)

    def empty(self) -> None:
        self.store._contents = type(self.store._contents)()

    def backup(self) -> Any:
        return copy.deepcopy(self.store._contents)

    def restore(self, backup: Any) -> None:
        self.store._contents = copy.deepcopy(backup)


class RedisHands:
    """On one experiment of a Redis."""

    def __init__(self, store: PolicyStore, url: str) -> None:
        self.store = store
        self.keys = KeyNames(store.experiment)
        self.raw: Any = redis.Redis.from_url(url)

    def put(self, slot: str, signed: SignedRecord) -> None:
        fields = {"record": signed.record, "signature": encode_signature(signed.signature), "key_id": signed.key_id}
        self.raw.delete(self.keys.slot(slot))
        self.raw.hset(self.keys.slot(slot), mapping=fields)

    def publish_as_0_1_0(self, slot: str, signed: SignedRecord) -> None:
        self.put(slot, signed)
        self.raw.lpush(self.keys.history(slot), canonical_json(signed.as_item()))

    def empty(self) -> None:
        for key in self._all():
            self.raw.delete(key)

    def backup(self) -> Any:
        return {key: self.raw.dump(key) for key in self._all()}

    def restore(self, backup: Any) -> None:
        self.empty()
        for key, value in backup.items():
            self.raw.restore(key, 0, value)

    def close(self) -> None:
        """Close the connection."""
        self.raw.close()

    def _all(self) -> list[bytes]:
        return list(self.raw.keys(self.keys.slot("*")))
