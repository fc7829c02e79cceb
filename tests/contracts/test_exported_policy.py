"""What the learner exports is what a serving node picks up: features, graph, outputs, batch independence."""

from __future__ import annotations

import numpy as np
import torch

from feature_contract import FeatureContract
from learner.algorithm import make_algorithm
from policy_store.channel_record import Channel
from policy_store.verification import TrustRule, read_channel_verified
from serving_agent.drift_check import DriftCheck
from serving_agent.pickup import CheckpointPickup, PickupResult
from serving_agent.probe_requests import probe_requests
from serving_agent.recent_traffic import RecentTraffic
from tests.serving_samples import NOW, TRUSTED, StoreDesk, serving_experiment

FEATURES = {
    "user_embedding_dim": 4,
    "history_length": 3,
    "item_embedding_dim": 2,
    "hash_buckets": 64,
    "context": [
        {"name": "surface", "kind": "category", "required": True},
        {"name": "hour", "kind": "number"},
    ],
}


def test_a_node_picks_up_what_the_learner_exports() -> None:
    torch.set_num_threads(1)
    experiment = serving_experiment(features=FEATURES)
    contract = FeatureContract.from_experiment(experiment)
    sample = contract.encode(probe_requests(experiment))
    algorithm = make_algorithm(experiment, contract)
    desk = StoreDesk(experiment)
    desk.publish("v1", algorithm.export(sample))
    desk.point(Channel.STABLE, "v1")
    rule = TrustRule(TRUSTED, experiment.name, experiment.action_space.digest, feature_contract=contract.digest)
    found = read_channel_verified(desk.store, Channel.STABLE, rule, now_ms=NOW)
    assert found is not None

    pickup = CheckpointPickup(experiment, DriftCheck(experiment, RecentTraffic()))
    verdict = pickup.consider(found.manifest, found.signed)

    assert verdict.result is PickupResult.ACCEPTED, verdict.notes
    assert verdict.policy is not None
    served = verdict.policy.network.score(sample.feeds())
    np.testing.assert_allclose(served, algorithm.score(sample), atol=1e-5)
