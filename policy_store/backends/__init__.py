"""The store's interface and its two implementations, in Redis and in memory.

Reads and writes the keys under `trimtab:{experiment}:` (docs/reference/redis_keys.md).
Guarantees that a change is atomic: revision, lease, history, audit and notification change together or not at all.
Fails with StoreUnreachable when the store does not answer in time, with StoreRefused when it refuses a command, and
with RevisionConflict or LeaseLost when another writer was first.
"""
