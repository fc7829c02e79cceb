"""Live ranker heads and new Q heads against a checkpoint's reference."""

from __future__ import annotations

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract
from monitoring.metrics import DriftMetrics
from policy_store.records import Answer
from serving_agent.decide.decision_request import DecisionRequest
from serving_agent.decide.loaded_policy import LoadedPolicy
from serving_agent.decide.policy_networks import ValueNetwork, answer_arrays, answer_network, with_preference
from serving_agent.decide.recent_traffic import RecentTraffic
from serving_agent.pickup.drift_check import DriftCheck, HeadReferences, ReferenceUnusable
from tests.answer_graphs import preferring_graph, proposing_graph, softmax_graph
from tests.serving_samples import (
    DIM,
    NOW,
    box_experiment,
    linear_graph,
    loaded,
    q_network,
    serving_experiment,
    sketch_of,
)

RANDOM = np.random.default_rng(11)
NOTHING = HeadReferences({}, {})


def traffic(heads: dict[str, list[float]], embeddings: list[list[float]] | None = None) -> RecentTraffic:
    recent = RecentTraffic()
    for head, means in heads.items():
        for mean in means:
            recent.note_heads([{"head": head, "count": 9, "mean": mean, "p10": 0, "p50": 0, "p90": 1}])
    for embedding in embeddings or []:
        recent.note_request(DecisionRequest(user_embedding=embedding).as_record("r", NOW))
    return recent


def references(**sketches: object) -> HeadReferences:
    return HeadReferences.of_manifest(sketches)


def uniform(count: int, shift: float = 0.0) -> list[float]:
    return [float(value) for value in RANDOM.uniform(size=count) + shift]


def test_same_distribution_is_no_drift() -> None:
    registry = CollectorRegistry()
    check = DriftCheck(serving_experiment(), traffic({"repin": uniform(500)}), DriftMetrics(registry))
    assert check.live_heads(references(ranker_heads={"repin": sketch_of(uniform(2000))})).status == "ok"
    assert registry.get_sample_value("trimtab_drift_alarm", {"head": "repin"}) == 0
    statistic = registry.get_sample_value("trimtab_drift_statistic", {"head": "repin"})
    assert statistic is not None
    assert statistic < 0.25


def test_shifted_live_heads_are_drift() -> None:
    registry = CollectorRegistry()
    check = DriftCheck(serving_experiment(), traffic({"repin": uniform(500, 0.4)}), DriftMetrics(registry))
    verdict = check.live_heads(references(ranker_heads={"repin": sketch_of(uniform(2000))}))
    assert verdict.status == "drift"
    assert registry.get_sample_value("trimtab_drift_alarm", {"head": "repin"}) == 1


def graph_policy(answer: Answer, graph: bytes, experiment: Experiment) -> LoadedPolicy:
    network = answer_network(answer, graph, experiment.action_space, len(experiment.objective_names))
    return LoadedPolicy("v1", NOW, network, FeatureContract.from_experiment(experiment))


@pytest.mark.parametrize("kind", ["probabilities", "proposal"])
def test_distributions_are_compared_by_their_own_heads(kind: str) -> None:
    experiment = box_experiment() if kind == "proposal" else serving_experiment()
    graph = proposing_graph([100.0, 5.0], [20.0, 3.0], 9.0) if kind == "proposal" else softmax_graph(1, 3)
    answer: Answer = "proposal" if kind == "proposal" else "probabilities"
    if answer == "probabilities":
        graph = softmax_graph(1, experiment.action_space.arms)
    policy = graph_policy(answer, graph, experiment)
    users = RANDOM.normal(size=(2_000, DIM))
    arrays = answer_arrays(policy.network.score({"user_embedding": users.astype(np.float32)}))
    heads = {"pi": arrays["pi"].ravel()} if answer == "probabilities" else {"w:repin": arrays["w"][:, 0]}
    reference = references(answer_heads={name: sketch_of(values) for name, values in heads.items()})
    registry = CollectorRegistry()
    same = DriftCheck(experiment, traffic({}, users[:200].tolist()), DriftMetrics(registry))
    assert same.answer_heads(reference, policy).status == "ok"
    [head] = heads
    assert registry.get_sample_value("trimtab_drift_alarm", {"head": f"answer:{head}"}) == 0
    moved = DriftCheck(experiment, traffic({}, (users[:200] + 3.0).tolist()))
    assert moved.answer_heads(reference, policy).status == "drift"


def test_answers_for_any_preference_are_compared_under_that_of_the_reference() -> None:
    experiment = serving_experiment()
    policy = graph_policy("probabilities", preferring_graph(2, experiment.action_space.arms), experiment)
    users = RANDOM.normal(size=(500, DIM)).astype(np.float32)
    weights = (0.9, 0.1)
    pi = answer_arrays(policy.network.score(with_preference({"user_embedding": users}, weights, 500)))["pi"]
    check = DriftCheck(experiment, traffic({}, users[:200].tolist()))
    heads = {"pi": sketch_of(pi.ravel())}
    assert check.answer_heads(references(answer_heads=heads, preference=list(weights)), policy).status == "ok"
    assert check.answer_heads(references(answer_heads=heads), policy).status == "drift"


def test_a_node_without_traffic_has_insufficient_data() -> None:
    reference = references(ranker_heads={"repin": sketch_of(uniform(2000))})
    assert DriftCheck(serving_experiment(), traffic({})).live_heads(reference).status == "insufficient_data"
    few = traffic({"repin": uniform(49, 9.0)})
    assert DriftCheck(serving_experiment(), few).live_heads(reference).status == "insufficient_data"


def test_a_head_that_the_ranker_lost_is_drift() -> None:
    reference = references(ranker_heads={name: sketch_of(uniform(2000)) for name in ("repin", "p2p")})
    verdict = DriftCheck(serving_experiment(), traffic({"repin": uniform(500)})).live_heads(reference)
    assert [head.head for head in verdict.heads if head.alarm] == ["p2p"]


def test_without_a_reference_there_is_nothing_to_judge() -> None:
    check = DriftCheck(serving_experiment(), traffic({"repin": uniform(500)}))
    assert check.live_heads(NOTHING).status == "ok"


def test_q_heads_on_recent_requests() -> None:
    experiment = serving_experiment()
    arms = experiment.action_space.arms
    slope = RANDOM.normal(size=(DIM, arms * 2)).astype(np.float32)
    policy = loaded(experiment, linear_graph(np.zeros((arms, 2), np.float32), slope))
    users = RANDOM.normal(size=(400, DIM)).astype(np.float32)
    q = q_network(policy).score({"user_embedding": users})
    reference = references(
        q_heads={name: sketch_of(q[:200, :, column]) for column, name in enumerate(("repin", "p2p"))}
    )
    same = DriftCheck(experiment, traffic({}, users[200:].tolist()))
    assert same.answer_heads(reference, policy).status == "ok"
    moved = DriftCheck(experiment, traffic({}, (users[200:] + 3.0).tolist()))
    assert moved.answer_heads(reference, policy).status == "drift"
    # Forty requests are forty, although they have four hundred values.
    few = DriftCheck(experiment, traffic({}, users[:40].tolist()))
    assert few.answer_heads(reference, policy).status == "insufficient_data"


def test_many_arms_are_scored_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = serving_experiment()
    slope = RANDOM.normal(size=(DIM, experiment.action_space.arms * 2)).astype(np.float32)
    policy = loaded(experiment, linear_graph(np.zeros((experiment.action_space.arms, 2), np.float32), slope))
    users = RANDOM.normal(size=(100, DIM)).astype(np.float32)
    assert isinstance(policy.network, ValueNetwork)
    q = policy.network.score({"user_embedding": users})
    reference = references(q_heads={name: sketch_of(q[:, :, column]) for column, name in enumerate(("repin", "p2p"))})
    check = DriftCheck(experiment, traffic({}, users.tolist()))
    whole = check.answer_heads(reference, policy)
    for pairs in (1, 70):
        monkeypatch.setattr("serving_agent.pickup.drift_check.SCORED_PAIRS", pairs)
        assert check.answer_heads(reference, policy) == whole


def test_requests_are_encoded_as_the_policy_was_trained() -> None:
    """Large components differ between encodings: the same traffic has not drifted from its own reference."""
    experiment = serving_experiment()
    arms = experiment.action_space.arms
    slope = (0.02 * RANDOM.normal(size=(DIM, arms * 2))).astype(np.float32)
    graph = linear_graph(np.zeros((arms, 2), np.float32), slope)
    users = (100.0 * RANDOM.normal(size=(400, DIM))).astype(np.float32)
    for encoding in (1, 2):
        policy = loaded(experiment, graph, encoding=encoding)
        requests = [DecisionRequest(user_embedding=user).as_record("r", NOW) for user in users[:200].tolist()]
        q = q_network(policy).score(policy.contract.encode(requests).feeds())
        reference = references(
            q_heads={name: sketch_of(q[:, :, column]) for column, name in enumerate(("repin", "p2p"))}
        )
        check = DriftCheck(experiment, traffic({}, users[200:].tolist()))
        assert check.answer_heads(reference, policy).status == "ok"
        other = loaded(experiment, graph, encoding=3 - encoding)
        assert check.answer_heads(reference, other).status == "drift"


def test_requests_without_features_are_left_out() -> None:
    experiment = serving_experiment()
    policy = loaded(experiment, linear_graph(np.zeros((experiment.action_space.arms, 2), np.float32)))
    check = DriftCheck(experiment, traffic({}, [[] for _ in range(100)]))
    reference = references(q_heads={"repin": sketch_of([0.5, 0.6])})
    assert check.answer_heads(reference, policy).status == "insufficient_data"


@pytest.mark.parametrize(
    "reference", [{"ranker_heads": {"repin": {}}}, {"q_heads": 3}, {"q_heads": {"a": None}}, {"preference": ["much"]}]
)
def test_damaged_references_are_refused(reference: dict[str, object]) -> None:
    with pytest.raises(ReferenceUnusable):
        HeadReferences.of_manifest(reference)


def test_a_head_that_the_next_checkpoint_lacks_is_no_longer_shown() -> None:
    registry = CollectorRegistry()
    check = DriftCheck(serving_experiment(), traffic({"repin": [0.9] * 200}), DriftMetrics(registry))
    steady = sketch_of(np.full(500, 0.2))
    check.live_heads(references(ranker_heads={"repin": steady, "gone": steady}))
    alarm = "trimtab_drift_alarm"
    assert [registry.get_sample_value(alarm, {"head": head}) for head in ("repin", "gone")] == [1, 1]
    check.live_heads(references(ranker_heads={"repin": steady}))
    assert [registry.get_sample_value(alarm, {"head": head}) for head in ("repin", "gone")] == [1, None]
