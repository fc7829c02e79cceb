"""The results of runs: checkpoints on disk, warm starts from them, and their publication.

Reads earlier checkpoints, and from the policy store the one that is serving.
Writes checkpoints under the data directory, and signed checkpoints, channel records and the account to the
policy store.
Guarantees that a checkpoint on disk is complete or absent, that it only reaches channels that the verdict allows, and
that only who has the learner's lease publishes, after the gate's account of the run is in the store.
Fails with CheckpointBroken, ClockMismatch or the store's errors; the checkpoint on disk stays.
"""

from learner.checkpoints.checkpoint import CHECKPOINTS_FOLDER, Checkpoint, CheckpointShelf, learner_directory
from learner.checkpoints.gate_account import stored_run
from learner.checkpoints.learner_lease import LeaseHolder
from learner.checkpoints.publishing import Publisher
from learner.checkpoints.run_history import budget_in_force
from learner.checkpoints.serving_checkpoint import ServingCheckpoint, load_version, read_serving
from learner.checkpoints.trained_checkpoints import TrainedCheckpoints, trained_on

__all__ = [
    "CHECKPOINTS_FOLDER",
    "Checkpoint",
    "CheckpointShelf",
    "LeaseHolder",
    "Publisher",
    "ServingCheckpoint",
    "TrainedCheckpoints",
    "budget_in_force",
    "learner_directory",
    "load_version",
    "read_serving",
    "stored_run",
    "trained_on",
]
