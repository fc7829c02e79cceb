"""Checkpoints of one's own with the feature encoding that 0.1.0 and today's code know, in a mixed fleet's store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_contract import FeatureContract
from policy_store.decisions.governance import point_channel, publish_checkpoint
from policy_store.records.channel_record import Channel
from policy_store.records.checkpoint_record import CheckpointManifest, describe_blobs
from tests.serving_samples import DIM, linear_graph
from tests.upgrades.frozen_traffic import DAY, FIRST
from tests.upgrades.mixed_fleet import MixedFleet

FOREVER = 3_650 * DAY


def any_values(fleet: MixedFleet, seed: int) -> bytes:
    """A graph that prefers other arms for other users."""
    draw, space = np.random.default_rng(seed), fleet.experiment.action_space
    shape = (space.arms, len(fleet.experiment.objective_names))
    bias: NDArray[np.float32] = draw.normal(size=shape).astype(np.float32)
    slope: NDArray[np.float32] = draw.normal(size=(DIM, shape[0] * shape[1])).astype(np.float32)
    return linear_graph(bias, slope)


def publish(fleet: MixedFleet, version: str, graph: bytes, fields: Mapping[str, Any] | None = None) -> None:
    """Publish a checkpoint; `fields` are those of its manifest."""
    experiment, blobs = fleet.experiment, {"policy.onnx": graph}
    content: dict[str, Any] = {
        "version": version,
        "experiment": experiment.name,
        "created_at": FIRST,
        "algorithm": "own",
        "action_space": experiment.action_space.digest,
        "arms": experiment.action_space.arms,
        "objectives": list(experiment.objective_names),
        "feature_contract": FeatureContract.from_experiment(experiment, encoding=1).digest,
        "blobs": describe_blobs(blobs),
    }
    manifest = CheckpointManifest.model_validate(content | dict(fields or {}))
    with fleet.store() as store:
        publish_checkpoint(store, manifest, blobs, fleet.key("learner"))


def point(fleet: MixedFleet, version: str, channel: Channel = Channel.STABLE) -> None:
    """Point a channel to it."""
    with fleet.store() as store:
        point_channel(store, channel, version, fleet.ada(store), ttl_ms=FOREVER)
