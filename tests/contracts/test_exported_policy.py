"""What the learner exports is what a serving node picks up: features, graph, outputs, batch independence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from prometheus_client import CollectorRegistry

from event_schemas.records import RequestRecord
from feature_contract import FeatureContract
from learner.judgement.reference_sketches import q_head_sketches, sketches_as_dict
from learner.network.algorithm import make_algorithm
from monitoring.metrics import DriftMetrics
from policy_store.decisions.verification import TrustRule
from policy_store.decisions.verified_reading import read_channel_verified
from policy_store.records.channel_record import Channel
from serving_agent.decide.decision_request import DecisionRequest
from serving_agent.decide.recent_traffic import RecentTraffic
from serving_agent.pickup.checkpoint_pickup import CheckpointPickup, PickupResult
from serving_agent.pickup.drift_check import DriftCheck
from serving_agent.pickup.probe_requests import probe_requests
from tests.serving_samples import NOW, TRUSTED, StoreDesk, q_network, serving_experiment

FEATURES = {
    "user_embedding_dim": 4,
    "history_length": 3,
    "item_embedding_dim": 2,
    "hash_buckets": 64,
    "context": [
        {"name": "surface", "kind": "category", "required": True},
        {"name": "hour", "kind": "number"},
    ],
    "previous_length": 3,
}


BINARY = {"user_embedding_dim": 0, "context": [{"name": "logged_in", "kind": "category", "required": True}]}


def visits(count: int, share: float, seed: int) -> list[RequestRecord]:
    """Requests whose one feature is true with this share."""
    rng = np.random.default_rng(seed)
    return [
        DecisionRequest(context={"logged_in": bool(rng.random() < share)}).as_record(f"r{number}", NOW)
        for number in range(count)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_one_binary_feature_is_no_drift_until_its_share_moves(seed: int) -> None:
    torch.set_num_threads(1)
    experiment = serving_experiment(features=BINARY, learner={"seed": seed, "epochs": 1})
    contract = FeatureContract.from_experiment(experiment)
    algorithm = make_algorithm(experiment, contract)
    reference = contract.encode(visits(5_000, 0.5, seed))
    graph, q = algorithm.export(reference), algorithm.score(reference)
    sketches = sketches_as_dict(q_head_sketches(q, experiment.objective_names))
    desk = StoreDesk(experiment)
    desk.publish("v1", graph, reference={"ranker_heads": {}, "q_heads": sketches})
    desk.point(Channel.STABLE, "v1")
    rule = TrustRule(
        TRUSTED, experiment.name, experiment.action_space.digest, feature_contracts=frozenset({contract.digest})
    )
    found = read_channel_verified(desk.store, Channel.STABLE, rule, now_ms=NOW)
    assert found is not None

    def judged(share: float) -> tuple[PickupResult, float]:
        recent, registry = RecentTraffic(), CollectorRegistry()
        for record in visits(500, share, seed + 100):
            recent.note_request(record)
        drift = DriftCheck(experiment, recent, DriftMetrics(registry))
        verdict = CheckpointPickup(experiment, drift).consider(found.manifest, found.signed)
        heads = [f"q:{name}" for name in experiment.objective_names]
        return verdict.result, max(
            registry.get_sample_value("trimtab_drift_statistic", {"head": head}) or 0.0 for head in heads
        )

    result, psi = judged(0.5)
    assert result is PickupResult.ACCEPTED and psi < 0.05
    assert judged(0.95)[0] is PickupResult.Q_DRIFT


def test_a_node_picks_up_what_the_learner_exports() -> None:
    torch.set_num_threads(1)
    experiment = serving_experiment(features=FEATURES)
    contract = FeatureContract.from_experiment(experiment)
    sample = contract.encode(probe_requests(experiment))
    algorithm = make_algorithm(experiment, contract)
    desk = StoreDesk(experiment)
    desk.publish("v1", algorithm.export(sample))
    desk.point(Channel.STABLE, "v1")
    known = frozenset({contract.digest})
    rule = TrustRule(TRUSTED, experiment.name, experiment.action_space.digest, feature_contracts=known)
    found = read_channel_verified(desk.store, Channel.STABLE, rule, now_ms=NOW)
    assert found is not None

    pickup = CheckpointPickup(experiment, DriftCheck(experiment, RecentTraffic()))
    verdict = pickup.consider(found.manifest, found.signed)

    assert verdict.result is PickupResult.ACCEPTED, verdict.notes
    assert verdict.policy is not None
    served = q_network(verdict.policy).score(sample.feeds())
    np.testing.assert_allclose(served, algorithm.score(sample), atol=1e-5)
