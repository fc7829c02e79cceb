"""The Q-network: its layers, its training, and its export.

Reads rows of a training window and the weights of an earlier checkpoint.
Writes weights and an ONNX graph, as bytes.
Guarantees that the same rows, seed and weights give the same network, and that the exported graph computes the same
values as the network.
Fails with NothingToLearn, CheckpointBroken or ExportMismatch; each ends the run, not the stage.
"""

from learner.network.training_progress import TrainingProgress

__all__ = [
    "TrainingProgress",
]
