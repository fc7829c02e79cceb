"""The manifest describes the run that made it."""

import json
from dataclasses import replace
from typing import Any

import numpy as np

from drift_detection.quantile_sketch import QuantileSketch
from event_schemas.experiment import Experiment
from event_schemas.section_digests import section_digests
from feature_contract import FeatureContract
from learner.checkpoints.checkpoint_building import told_rival
from learner.network.graph_session import graph_session
from learner.network.tensor_file import read_tensors
from policy_store.records.checkpoint_record import EVALUATION_BLOB, CheckpointManifest, check_blobs


def test_the_manifest_names_its_contract(trained: Any, experiment: Experiment) -> None:
    manifest = trained.report.checkpoint.manifest
    contract = FeatureContract.from_experiment(experiment)
    assert (manifest.experiment, manifest.algorithm, manifest.arms) == ("small", "q_network", 10)
    assert manifest.action_space == experiment.action_space.digest
    assert (manifest.feature_contract, manifest.feature_spec) == (contract.digest, contract.as_dict())
    assert manifest.objectives == ["repin", "p2p"]
    assert manifest.policy == {"alpha_objective": "p2p"}
    assert manifest.parent is None
    assert manifest.section_digests == section_digests(experiment)


def test_it_survives_its_canonical_form_and_fits_its_blobs(trained: Any) -> None:
    checkpoint = trained.report.checkpoint
    assert CheckpointManifest.parse(checkpoint.manifest.canonical()) == checkpoint.manifest
    check_blobs(checkpoint.manifest, checkpoint.blobs)


def test_the_window_is_the_one_trained_on(trained: Any, experiment: Experiment) -> None:
    window = trained.report.checkpoint.manifest.window
    assert window["train_to"] + window["embargo_ms"] == window["holdout_from"]
    assert window["embargo_ms"] == experiment.window_ms
    assert window["examples"] + window["holdout_examples"] + sum(window["left_out"].values()) == 6000
    assert window["lineage"] == []
    assert len(window["losses"]) == experiment.learner.epochs


def test_the_evaluation_is_summed_up_and_whole_in_its_blob(trained: Any) -> None:
    checkpoint = trained.report.checkpoint
    summary = checkpoint.manifest.evaluation
    whole = json.loads(checkpoint.blobs["evaluation.json"])
    assert checkpoint.manifest.verdict == whole["gate"]["verdict"] == trained.report.verdict.verdict
    assert set(summary["lifts"]) == {"repin", "p2p"}
    assert (summary["look"], summary["baseline"]) == (1, "production")
    assert summary["rows"] == whole["judgement"]["rows"]


def test_reference_sketches_cover_every_head(trained: Any) -> None:
    reference = trained.report.checkpoint.manifest.reference
    for group in ("ranker_heads", "q_heads"):
        sketches = {name: QuantileSketch.from_dict(content) for name, content in reference[group].items()}
        assert set(sketches) == {"repin", "p2p"}
        assert all(sketch.total > 1000 for sketch in sketches.values())


def test_the_comparison_with_a_linear_fit_is_read_from_the_evaluation(trained: Any) -> None:
    checkpoint = trained.report.checkpoint
    assert told_rival(checkpoint) == trained.report.rival.as_dict()
    for other in (b"{}", b"[1]", b'{"linear_rival": null}', b'{"linear_rival": {"wins": true}}', b"\xff", b"7"):
        assert told_rival(replace(checkpoint, blobs={**checkpoint.blobs, EVALUATION_BLOB: other})) is None


def test_graph_and_weights_are_of_the_same_network(trained: Any, world: Any) -> None:
    checkpoint = trained.report.checkpoint
    weights = read_tensors(checkpoint.blobs["weights.safetensors"], "weights")
    assert all(np.isfinite(array).all() for array in weights.values())
    inputs = world.rows(world.examples(3)).inputs
    [q] = graph_session(checkpoint.blobs["policy.onnx"]).run(["q"], inputs.feeds())
    assert q.shape == (3, 10, 2)
