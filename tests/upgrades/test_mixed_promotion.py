"""Checkpoints in a fleet of nodes of 0.1.0 and of today: each is served alike by all, or refused by the old ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_contract import FeatureContract
from policy_store.decisions.governance import point_channel, publish_checkpoint
from policy_store.records.channel_record import Channel
from policy_store.records.checkpoint_record import CheckpointManifest, describe_blobs
from tests.answer_graphs import preferring_values, softmax_graph
from tests.serving_samples import DIM, linear_graph
from tests.upgrades.frozen_traffic import DAY, FIRST, visits
from tests.upgrades.mixed_fleet import PRESENT, MixedFleet, Sidecar

FOREVER = 3_650 * DAY
AS_IN_FORCE = {"repin": 0.1, "click": 0.9}
"""What the experiment file's [preference] says."""
FIELDS = ("weights", "arm", "slice", "propensity", "policy_version", "config_revision", "fallback_reason")
"""What both releases answer."""


def any_values(fleet: MixedFleet, seed: int) -> bytes:
    """A graph that prefers other arms for other users."""
    draw, space = np.random.default_rng(seed), fleet.experiment.action_space
    shape = (space.arms, len(fleet.experiment.objective_names))
    bias: NDArray[np.float32] = draw.normal(size=shape).astype(np.float32)
    slope: NDArray[np.float32] = draw.normal(size=(DIM, shape[0] * shape[1])).astype(np.float32)
    return linear_graph(bias, slope)


def publish(fleet: MixedFleet, version: str, graph: bytes, fields: Mapping[str, Any] | None = None) -> None:
    """A checkpoint of one's own with the encoding that both releases know, published and pointed to by stable."""
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
        point_channel(store, Channel.STABLE, version, fleet.ada(store), ttl_ms=FOREVER)


def serves(version: str, node: Sidecar) -> None:
    """Wait until the node has accepted it."""
    node.await_report(lambda report: report["versions"].get("stable") == version)


def refuses(result: str, why: str, node: Sidecar) -> None:
    """Wait until the node has refused what stable points to, for this reason."""
    state = node.await_report(lambda report: report["channels"]["stable"]["result"] == result)["channels"]["stable"]
    assert (state["version"], why in str(state["notes"])) == ("plain", True), state


def answers(node: Sidecar, seed: int) -> list[dict[str, Any]]:
    """To the same requests for the same seed. Asked twice, a node repeats what it answered first."""
    return [{name: node.decide(visit)[name] for name in FIELDS} for visit in visits(40, seed)]


def versions_asked(answered: list[dict[str, Any]]) -> set[str]:
    """The checkpoints that chose for the policy's requests."""
    return {answer["policy_version"] for answer in answered if answer["slice"] == "POLICY"}


FORMAT = "checkpoint manifest: format: Input should be 1 (got '2')"
INPUT = "policy.onnx wants inputs ['preference']"


def test_what_0_1_0_would_serve_wrongly_it_refuses_and_keeps_what_it_has(fleet: MixedFleet, old: Path) -> None:
    before, after = fleet.serve(old, "before"), fleet.serve(PRESENT, "after")
    publish(fleet, "plain", any_values(fleet, 1))
    serves("plain", before)
    serves("plain", after)
    assert answers(before, 1) == answers(after, 1)
    assert versions_asked(answers(before, 2)) == {"plain"}

    publish(fleet, "pinned", any_values(fleet, 2), {"preference": {"repin": 0.9, "click": 0.1}})
    serves("pinned", after)
    refuses("unverified", FORMAT, before)
    assert versions_asked(answers(before, 3)) == {"plain"}
    assert {answer["fallback_reason"] for answer in answers(after, 3)} == {None, "preference"}

    publish(fleet, "asking", preferring_values(2, 10))
    serves("asking", after)
    refuses("contract", INPUT, before)
    assert (versions_asked(answers(before, 4)), versions_asked(answers(after, 4))) == ({"plain"}, {"asking"})

    said = {"answer": "probabilities", "preference": AS_IN_FORCE}
    publish(fleet, "distribution", softmax_graph(3, 10), said)
    serves("distribution", after)
    refuses("unverified", FORMAT, before)
    assert (versions_asked(answers(before, 5)), versions_asked(answers(after, 5))) == ({"plain"}, {"distribution"})

    channels = {row["channel"]: row for row in fleet.trimtab(PRESENT, "policy", "status")["channels"]}
    [refusal] = channels["stable"]["refused_by"]
    assert refusal["node"] == "before" and FORMAT in str(refusal)
    before.end()
    upgraded = fleet.serve(PRESENT, "before")
    serves("distribution", upgraded)
    assert answers(upgraded, 6) == answers(after, 6)
