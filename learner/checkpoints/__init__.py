"""What a run leaves behind: checkpoints on disk, warm starts from them, and their publication.

Reads former checkpoints.
Writes checkpoints under the data directory, and signed checkpoints and channel records to the policy store.
Guarantees that a checkpoint on disk is whole or absent, and that nothing reaches a channel the verdict does not allow.
Fails with CheckpointBroken, LineageOverlap or the store's errors; the checkpoint on disk stays.
"""
