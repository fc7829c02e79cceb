"""The store's interface and its two implementations, in Redis and in memory.

Reads and writes the keys under `trimtab:{experiment}:` (docs/reference/redis_keys.md).
Guarantees that a change is atomic: revision, lease, history, audit and notification change together or not at all.
Fails with StoreUnreachable when the store does not answer in time, with StoreRefused when it refuses a command, and
with RevisionConflict or LeaseLost when another writer was first.

What needs the Redis client is imported at its first use, so that readers of records do not load it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from policy_store.backends.memory_store import MemoryStore
from policy_store.backends.redis_address import OPTIONS, TLS_OPTIONS, require_redis_address
from policy_store.backends.store import MAX_BLOCK_MS, Lease, NodeStatus, PolicyStore

if TYPE_CHECKING:
    from policy_store.backends.redis_connection import RedisConnection
    from policy_store.backends.redis_store import RedisStore

__all__ = [
    "Lease",
    "MAX_BLOCK_MS",
    "MemoryStore",
    "NodeStatus",
    "OPTIONS",
    "PolicyStore",
    "RedisConnection",
    "RedisStore",
    "TLS_OPTIONS",
    "require_redis_address",
]

CLIENTS = {"RedisConnection": "redis_connection", "RedisStore": "redis_store"}


def __getattr__(name: str) -> object:
    if name not in CLIENTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{CLIENTS[name]}"), name)
