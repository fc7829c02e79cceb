"""Checkpoints that answer with distributions, which no algorithm of this version trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract
from learner.checkpoints.checkpoint import Checkpoint
from policy_store.records import Answer, CheckpointManifest, describe_blobs


def answering(
    experiment: Experiment, answer: Answer, graph: bytes, selection: str = "sample", **fields: Any
) -> Checkpoint:
    """A checkpoint whose hold-out begins at the start of time; `fields` are those of its manifest."""
    blobs: Mapping[str, bytes] = {"policy.onnx": graph, "weights.safetensors": b"", "evaluation.json": b"{}"}
    content = {
        "version": f"20260101T000000000Z-{answer}",
        "experiment": experiment.name,
        "created_at": 1,
        "algorithm": "reference",
        "action_space": experiment.action_space.digest,
        "arms": experiment.action_space.arms,
        "objectives": list(experiment.objective_names),
        "feature_contract": FeatureContract.from_experiment(experiment).digest,
        "window": {"holdout_from": 0},
        "blobs": describe_blobs(blobs),
        "answer": answer,
        "selection": selection,
    }
    return Checkpoint(CheckpointManifest.model_validate({**content, **fields}), blobs, b"")
