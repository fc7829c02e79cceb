"""Gets what a node serves: watches the store, checks checkpoints, remembers kills and revisions, saves both to disk.

Reads the store's channels, preference, kills and re-bases, a kill file, and the last good snapshot on disk.
Writes the snapshot holder, the node's heartbeat, its memory on disk, and audit entries about refused checkpoints.
Guarantees that a checkpoint serves only after signature, contract and drift checks, and that a kill, once seen, holds
until a resume names it.
Fails without raising: a record that cannot be read or is refused is reported, and the node keeps its last state.
"""
