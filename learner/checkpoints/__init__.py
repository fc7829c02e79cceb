"""The results of runs: checkpoints on disk, warm starts from them, and their publication.

Reads earlier checkpoints, and from the policy store the one that is serving.
Writes checkpoints under the data directory, and signed checkpoints and channel records to the policy store.
Guarantees that a checkpoint on disk is complete or absent, and that it only reaches channels that the verdict allows.
Fails with CheckpointBroken, ClockMismatch or the store's errors; the checkpoint on disk stays.
"""

from learner.checkpoints.checkpoint import CHECKPOINTS_FOLDER, Checkpoint, CheckpointShelf, learner_directory
from learner.checkpoints.publishing import Publisher
from learner.checkpoints.run_history import budget_in_force
from learner.checkpoints.serving_checkpoint import ServingCheckpoint, load_version, read_serving

__all__ = [
    "CHECKPOINTS_FOLDER",
    "Checkpoint",
    "CheckpointShelf",
    "Publisher",
    "ServingCheckpoint",
    "budget_in_force",
    "learner_directory",
    "load_version",
    "read_serving",
]
