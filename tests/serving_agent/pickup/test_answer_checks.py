"""What is checked of a checkpoint's answers before they may serve."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract
from policy_store.records import Answer, CheckpointManifest, ContractMismatch
from policy_store.records.checkpoint_record import describe_blobs
from serving_agent.decide.policy_answers import UnusableAnswer
from serving_agent.decide.policy_networks import answer_network
from serving_agent.pickup.answer_checks import pinned_weights, require_fitting_answer, require_sound_answers
from tests.answer_graphs import preferring_graph, proposing_graph, softmax_graph
from tests.serving_samples import (
    DIM,
    NOW,
    box_experiment,
    catalogue_experiment,
    graph_bytes,
    linear_graph,
    preferring,
    serving_experiment,
)

GRID, BOX, CATALOGUE = serving_experiment(), box_experiment(), catalogue_experiment()
ARMS = GRID.action_space.arms
SPREAD = np.linspace(-1.0, 1.0, 2 * ARMS, dtype=np.float32).reshape(ARMS, 2)


def manifest(experiment: Experiment = GRID, **fields: Any) -> CheckpointManifest:
    content = {
        "version": "v1",
        "experiment": experiment.name,
        "created_at": NOW,
        "algorithm": "reference",
        "action_space": experiment.action_space.digest,
        "arms": experiment.action_space.arms,
        "objectives": list(experiment.objective_names),
        "feature_contract": FeatureContract.from_experiment(experiment).digest,
        "blobs": describe_blobs({"policy.onnx": b""}),
    }
    return CheckpointManifest(**{**content, **fields})


def ask(answer: Answer, graph: bytes, experiment: Experiment = GRID) -> None:
    network = answer_network(answer, graph, experiment.action_space, len(experiment.objective_names))
    require_sound_answers(network, FeatureContract.from_experiment(experiment), experiment)


@pytest.mark.parametrize(
    ("experiment", "answer", "selection", "told"),
    [
        (GRID, "values", "argmax", None),
        (CATALOGUE, "probabilities", "sample", None),
        (GRID, "probabilities", "argmax", None),
        (BOX, "proposal", "sample", None),
        (BOX, "proposal", "argmax", None),
        (BOX, "values", "argmax", "are a box, which has no arms"),
        (BOX, "probabilities", "sample", "are a box, which has no arms"),
        (GRID, "proposal", "sample", "the action space is a grid"),
        (CATALOGUE, "proposal", "sample", "the action space is a catalogue"),
        (GRID, "values", "sample", "no distribution to sample from"),
    ],
)
def test_an_answer_must_fit_the_action_space(
    experiment: Experiment, answer: str, selection: str, told: str | None
) -> None:
    checked = manifest(experiment, answer=answer, selection=selection)
    if told is None:
        require_fitting_answer(checked, experiment)
    else:
        with pytest.raises(ContractMismatch, match=told):
            require_fitting_answer(checked, experiment)


def test_a_distribution_is_for_a_known_preference() -> None:
    assert pinned_weights(manifest(), GRID, takes_preference=False) is None
    distribution = manifest(answer="probabilities", selection="sample")
    assert pinned_weights(distribution, GRID, takes_preference=True) is None
    with pytest.raises(ContractMismatch, match="does not say for which"):
        pinned_weights(distribution, GRID, takes_preference=False)
    pinned = manifest(answer="probabilities", preference={"p2p": 0.25, "repin": 0.75})
    assert pinned_weights(pinned, GRID, takes_preference=False) == (0.75, 0.25)
    rounded = manifest(answer="probabilities", preference={"p2p": 0.333333, "repin": 0.666666})
    assert pinned_weights(rounded, GRID, takes_preference=False) == (0.666666, 0.333333)


@pytest.mark.parametrize("preference", [{"repin": 1.0}, {"repin": 0.5, "p2p": 0.4}, {"repin": 0.5, "click": 0.5}])
def test_a_pinned_preference_weighs_all_objectives(preference: dict[str, float]) -> None:
    with pytest.raises(ContractMismatch, match="does not weigh repin, p2p to 1"):
        pinned_weights(manifest(preference=preference), GRID, takes_preference=False)


@pytest.mark.parametrize(
    ("answer", "graph", "experiment"),
    [
        ("values", preferring(GRID, repin=2), GRID),
        ("values", linear_graph(0.01 * SPREAD - 13.0, np.full((DIM, ARMS * 2), 0.01, np.float32)), GRID),  # are rare
        ("probabilities", softmax_graph(2, ARMS), GRID),
        ("probabilities", preferring_graph(2, ARMS), GRID),
        ("proposal", proposing_graph([100.0, 5.0], [20.0, 3.0]), BOX),
    ],
)
def test_sound_answers_pass(answer: Answer, graph: bytes, experiment: Experiment) -> None:
    ask(answer, graph, experiment)


@pytest.mark.parametrize(
    ("answer", "graph", "experiment"),
    [
        ("values", linear_graph(SPREAD), GRID),
        ("proposal", proposing_graph([100.0, 5.0], [20.0, 3.0], slope=0.0), BOX),
    ],
)
def test_an_answer_that_is_the_same_for_all_requests_is_refused(
    answer: Answer, graph: bytes, experiment: Experiment
) -> None:
    with pytest.raises(ContractMismatch, match="answers every request alike"):
        ask(answer, graph, experiment)


def test_an_answer_that_is_the_same_for_all_arms_is_refused() -> None:
    alike = linear_graph(np.zeros((ARMS, 2), np.float32), np.full((DIM, ARMS * 2), 0.1, np.float32))
    with pytest.raises(ContractMismatch, match="alike for every arm"):
        ask("values", alike)


def test_a_policy_with_a_threshold_is_no_constant() -> None:
    """It answers all probes alike, and so does one that compares the numbers of an embedding with each other."""
    ask("probabilities", _softmax_of([helper.make_node("Greater", ["user_embedding", "twelve"], ["above"])]))
    centred = [
        helper.make_node("ReduceMean", ["user_embedding"], ["mean"], axes=[1]),
        helper.make_node("Sub", ["user_embedding", "mean"], ["centred"]),
        helper.make_node("Greater", ["centred", "little"], ["above"]),
    ]
    ask("probabilities", _softmax_of(centred))


def test_a_policy_that_knows_some_categories_is_no_constant() -> None:
    """Its table has a row for the category of one bucket; nobody's probe falls into it."""
    document = GRID.model_dump(mode="json", exclude_none=True)
    document["features"] = {"user_embedding_dim": 0, "context": [{"name": "surface", "required": True}]}
    known = Experiment.model_validate(document)
    table = np.zeros((known.features.hash_buckets, ARMS), np.float32)
    table[77, 1] = 2.0
    ask("probabilities", _table_graph(table), known)
    with pytest.raises(ContractMismatch, match="answers every request alike"):
        ask("probabilities", _table_graph(np.zeros_like(table) + np.arange(ARMS, dtype=np.float32)), known)


def _softmax_of(nodes: list[Any]) -> bytes:
    """`pi`, where arm 0 is likelier for users with a number `above`."""
    slope = np.zeros((DIM, ARMS), np.float32)
    slope[:, 0] = 1.0
    constants: dict[str, Any] = {
        "twelve": np.array([[12.0]], np.float32),
        "little": np.array([[0.01]], np.float32),
        "slope": slope,
        "logits": np.arange(ARMS, dtype=np.float32)[None],
    }
    rest = [
        helper.make_node("Cast", ["above"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Gemm", ["number", "slope", "logits"], ["sums"]),
        helper.make_node("Softmax", ["sums"], ["pi"], axis=1),
    ]
    return graph_bytes([*nodes, *rest], constants, outputs=("pi",))


def _table_graph(table: Any) -> bytes:
    """`pi` from the row of the category."""
    nodes = [
        helper.make_node("Gather", ["table", "context_ids"], ["found"], axis=0),
        helper.make_node("ReduceSum", ["found", "axis"], ["sums"], keepdims=0),
        helper.make_node("Softmax", ["sums"], ["pi"], axis=1),
    ]
    constants = [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([1]), "axis")]
    inputs = [helper.make_tensor_value_info("context_ids", TensorProto.INT64, ["n", 1])]
    outputs = [helper.make_tensor_value_info("pi", TensorProto.FLOAT, ["n", ARMS])]
    graph = helper.make_graph(nodes, "policy", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def test_a_pinned_policy_is_probed_under_its_preference() -> None:
    """Under equal weights this network's answers can be served; under the only one that it serves they cannot."""
    nodes = [
        helper.make_node("Tanh", ["user_embedding"], ["bounded"]),
        helper.make_node("Gemm", ["bounded", "slopes", "mean"], ["users"]),
        helper.make_node("Gemm", ["preference", "far", "users"], ["w"]),
        helper.make_node("Gemm", ["bounded", "none", "spread"], ["log_sd"]),
    ]
    slopes, far = np.zeros((DIM, 2), np.float32), np.zeros((2, 2), np.float32)
    slopes[0, 0], far[0, 0], far[1, 0] = 1.0, 500.0, -500.0
    spread = np.log(np.array([[20.0, 3.0]], np.float32))
    mean = np.array([[100.0, 5.0]], np.float32)
    constants = {"slopes": slopes, "far": far, "mean": mean, "none": np.zeros((DIM, 2), np.float32), "spread": spread}
    graph = graph_bytes(nodes, constants, outputs=("w", "log_sd"), preference=2)
    assert len(BOX.objective_names) == 2
    ask("proposal", graph, BOX)
    network = answer_network("proposal", graph, BOX.action_space, 2)
    with pytest.raises(UnusableAnswer, match="outside the box"):
        require_sound_answers(network, FeatureContract.from_experiment(BOX), BOX, (1.0, 0.0))


def test_without_features_all_requests_are_alike() -> None:
    """Nothing tells its requests apart, so a network that does not either is not broken."""
    document = GRID.model_dump(mode="json", exclude_none=True)
    document["features"] = {"user_embedding_dim": 0}
    bare = Experiment.model_validate(document)
    network = answer_network("values", _without_inputs(), bare.action_space, 2)
    require_sound_answers(network, FeatureContract.from_experiment(bare), bare)


def _without_inputs() -> bytes:
    value = numpy_helper.from_array(1 / (1 + np.exp(-SPREAD[None])), "value")
    outputs = [helper.make_tensor_value_info("q", TensorProto.FLOAT, [1, ARMS, 2])]
    graph = helper.make_graph([helper.make_node("Identity", ["value"], ["q"])], "policy", [], outputs, [value])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("mean", [[500.0, 5.0], [100.0, -1.0]])
def test_a_proposal_outside_the_box_is_refused(mean: list[float]) -> None:
    with pytest.raises(UnusableAnswer, match="outside the box"):
        ask("proposal", proposing_graph(mean, [20.0, 3.0]), BOX)
