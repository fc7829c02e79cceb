"""Steps 2 to 4: load, contract, drift."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract
from policy_store.decisions.verification import Approval, TrustRule, VerifiedCheckpoint
from policy_store.decisions.verified_reading import read_channel_verified
from policy_store.records.channel_record import Channel
from serving_agent.decide.decision_request import DecisionRequest
from serving_agent.decide.policy_networks import ProbabilityNetwork, ProposalNetwork
from serving_agent.decide.recent_traffic import RecentTraffic
from serving_agent.pickup.checkpoint_pickup import CheckpointPickup, PickupResult, PickupVerdict
from serving_agent.pickup.drift_check import DriftCheck
from tests.answer_graphs import preferring_graph, proposing_graph, softmax_graph
from tests.serving_samples import (
    NOW,
    TRUSTED,
    StoreDesk,
    box_experiment,
    embedded,
    graph_bytes,
    linear_graph,
    preferring,
    serving_experiment,
    sketch_of,
)

EXPERIMENT = serving_experiment()
RULE = TrustRule(TRUSTED, EXPERIMENT.name, EXPERIMENT.action_space.digest, Approval.AUTO)
GOOD = preferring(EXPERIMENT, repin=2)
LOW, HIGH = np.linspace(0.0, 0.4, 500), np.linspace(0.6, 1.0, 500)


def verified(graph: bytes, **manifest: Any) -> VerifiedCheckpoint:
    desk = StoreDesk(EXPERIMENT)
    desk.publish("v1", graph, **manifest)
    desk.point(Channel.STABLE, "v1")
    found = read_channel_verified(desk.store, Channel.STABLE, RULE, now_ms=NOW)
    assert found is not None
    return found


def consider(graph: bytes, recent: RecentTraffic | None = None, **manifest: Any) -> PickupVerdict:
    drift = DriftCheck(EXPERIMENT, RecentTraffic() if recent is None else recent)
    found = verified(graph, **manifest)
    return CheckpointPickup(EXPERIMENT, drift).consider(found.manifest, found.signed)


def traffic(mean: float = 0.2) -> RecentTraffic:
    recent = RecentTraffic()
    for _ in range(200):
        recent.note_request(DecisionRequest(user_embedding=embedded(0.0)).as_record("r", NOW))
        recent.note_heads([{"head": "repin", "count": 9, "mean": mean, "p10": 0, "p50": 0, "p90": 1}])
    return recent


def test_a_good_checkpoint_is_accepted() -> None:
    verdict = consider(GOOD)
    assert verdict.result is PickupResult.ACCEPTED
    assert verdict.policy is not None
    assert (verdict.policy.version, verdict.policy.created_at) == ("v1", NOW)


@pytest.mark.parametrize("encoding", [1, 2])
def test_a_checkpoint_is_scored_with_the_encoding_it_was_trained_with(encoding: int) -> None:
    contract = FeatureContract.from_experiment(EXPERIMENT, encoding)
    verdict = consider(GOOD, feature_contract=contract.digest)
    assert verdict.policy is not None
    assert verdict.policy.contract == contract


def test_an_encoding_that_this_version_does_not_know_is_refused() -> None:
    verdict = consider(GOOD, feature_contract="ab" * 32)
    assert verdict.result is PickupResult.CONTRACT
    assert "does not know" in verdict.notes[0]


def test_too_little_traffic_accepts_and_says_so() -> None:
    verdict = consider(GOOD, reference={"ranker_heads": {"repin": sketch_of(LOW)}})
    assert verdict.result is PickupResult.ACCEPTED
    assert "insufficient data" in verdict.notes[0]
    assert not verdict.waits_for_traffic


def test_values_of_arms_are_refused_where_there_are_none() -> None:
    box = box_experiment()
    found = verified(GOOD)
    verdict = CheckpointPickup(box, DriftCheck(box, RecentTraffic())).consider(found.manifest, found.signed)
    assert verdict.result is PickupResult.CONTRACT
    assert verdict.notes[0].startswith("checkpoint v1 (q_network) scores arms, but the experiment's weights are a box")
    assert "fix: give every [[weights]] steps" in verdict.notes[0]


def pick_up(experiment: Experiment, graph: bytes, **manifest: Any) -> PickupVerdict:
    desk = StoreDesk(experiment)
    desk.publish("v1", graph, **manifest)
    desk.point(Channel.STABLE, "v1")
    rule = TrustRule(TRUSTED, experiment.name, experiment.action_space.digest, Approval.AUTO)
    found = read_channel_verified(desk.store, Channel.STABLE, rule, now_ms=NOW)
    assert found is not None
    drift = DriftCheck(experiment, RecentTraffic())
    return CheckpointPickup(experiment, drift).consider(found.manifest, found.signed)


@pytest.mark.parametrize("selection", ["argmax", "sample"])
def test_a_proposal_for_a_box_is_accepted(selection: str) -> None:
    preference = {"repin": 0.5, "p2p": 0.5}
    graph = proposing_graph([100.0, 5.0], [20.0, 3.0])
    said = {"answer": "proposal", "selection": selection, "preference": preference}
    policy = pick_up(box_experiment(), graph, **said).policy
    assert policy is not None
    assert isinstance(policy.network, ProposalNetwork)
    assert (policy.samples, policy.pinned) == (selection == "sample", (0.5, 0.5))


def test_probabilities_for_any_preference_are_accepted() -> None:
    graph = preferring_graph(2, EXPERIMENT.action_space.arms)
    policy = pick_up(EXPERIMENT, graph, answer="probabilities", selection="sample").policy
    assert policy is not None
    assert isinstance(policy.network, ProbabilityNetwork)
    assert (policy.samples, policy.pinned) == (True, None)


def row_dependent_graph() -> bytes:
    """A graph as from a batch norm left in training mode: a request's values depend on its neighbours."""
    arms = EXPERIMENT.action_space.arms
    nodes = [
        helper.make_node("ReduceMean", ["user_embedding"], ["batch"], axes=[0, 1], keepdims=1),
        helper.make_node("ReduceMean", ["user_embedding"], ["own"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["own", "batch"], ["centred"]),
        helper.make_node("Mul", ["centred", "ones"], ["flat"]),
        helper.make_node("Sigmoid", ["flat"], ["values"]),
        helper.make_node("Reshape", ["values", "shape"], ["q"]),
    ]
    constants: dict[str, Any] = {
        "ones": np.ones((1, arms * 2), dtype=np.float32),
        "shape": np.array([-1, arms, 2], dtype=np.int64),
    }
    return graph_bytes(nodes, constants)


@pytest.mark.parametrize(
    ("graph", "manifest", "message"),
    [
        (b"not a graph", {}, "cannot be loaded"),
        (linear_graph(np.full((10, 2), np.nan, np.float32)), {}, "outside"),
        (linear_graph(np.zeros((9, 2), np.float32)), {}, "10 arms"),
        (row_dependent_graph(), {}, "alone and in a batch"),
        (linear_graph(np.zeros((10, 2), np.float32)), {}, "answers every request alike"),
        (softmax_graph(1, 10), {"answer": "probabilities"}, "does not say for which"),
        (softmax_graph(1, 10), {"answer": "proposal"}, "the action space is a grid"),
        (GOOD, {"answer": "probabilities"}, "none of them 'pi'"),
        (GOOD, {"selection": "sample"}, "no distribution to sample from"),
        (GOOD, {"preference": {"repin": 1.0}}, "does not weigh"),
        (GOOD, {"objectives": ["p2p", "repin"]}, "objectives"),
        (GOOD, {"reference": {"q_heads": {"repin": {}}}}, "sketch"),
    ],
)
def test_a_broken_contract_is_refused(graph: bytes, manifest: dict[str, Any], message: str) -> None:
    verdict = consider(graph, **manifest)
    assert verdict.result is PickupResult.CONTRACT
    assert verdict.policy is None
    assert message in verdict.notes[0]


def test_a_graph_that_wants_other_features_is_refused() -> None:
    other = graph_bytes([helper.make_node("Identity", ["user_embedding"], ["q"])], {}, dim=7)
    assert consider(other).result is PickupResult.CONTRACT


def test_live_heads_that_drifted_are_told_apart_from_new_q_heads() -> None:
    steady = {"ranker_heads": {"repin": sketch_of(np.full(500, 0.2))}}
    assert consider(GOOD, traffic(0.2), reference=steady).result is PickupResult.ACCEPTED
    moved = consider(GOOD, traffic(0.9), reference=steady)
    assert moved.result is PickupResult.LIVE_DRIFT
    assert moved.waits_for_traffic
    # The network answers 0.12 and 0.88; its manifest claims to have answered between 0.6 and 1.
    other = consider(GOOD, traffic(0.2), reference={**steady, "q_heads": {"repin": sketch_of(HIGH)}})
    assert other.result is PickupResult.Q_DRIFT
    assert other.policy is None
