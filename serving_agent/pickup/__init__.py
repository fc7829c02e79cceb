"""How a node comes by what it serves: watched in the store, checked, remembered, and kept on disk.

Reads the store's channels, preference, kills and re-bases, a kill file, and the last good snapshot on disk.
Writes the snapshot holder, the node's heartbeat, its memory on disk, and audit entries about refused checkpoints.
Guarantees that a checkpoint serves only after signature, contract and drift checks, and that a kill once seen holds
until a resume names it.
Fails never: what cannot be read or is refused is reported, and the node serves what it had.
"""
