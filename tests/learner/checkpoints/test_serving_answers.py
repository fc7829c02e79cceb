"""What the serving checkpoint chooses: as serving nodes do, or in words why it cannot be said."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract
from learner.checkpoints.checkpoint import Checkpoint
from learner.checkpoints.graph_answers import GraphAnswers
from learner.checkpoints.serving_answers import serving_policy
from learner.checkpoints.serving_checkpoint import ServingCheckpoint
from learner.examples.learning_rows import LearningRows
from learner.examples.stored_files import stored_examples
from learner.judgement.candidate_policies import preferred_policy
from learner.judgement.serving_comparison import ServingPolicy
from off_policy.estimates import RefusalCode
from policy_store.records import ObjectiveWeights
from tests.answer_graphs import proposing_graph, softmax_graph
from tests.box_samples import DrawnWorld, box_experiment
from tests.learner.answering_checkpoints import answering
from tests.learner_samples import World

EMPTY_LINEAGE = {"holdout_from": 0, "train_to": 0, "embargo_ms": 0, "lineage": []}


@pytest.fixture(scope="module")
def rows(trained: Any, experiment: Experiment) -> LearningRows:
    """The held-out rows of the run that trained the checkpoint."""
    frame = stored_examples(trained.learner.examples_directory).sort("request_event_time", "request_request_id")
    explored = frame.filter((frame["action_slice"] == "EXPLORE") & ~frame["outcome_closed_early"])
    held_out = explored.filter(
        explored["request_event_time"] >= trained.report.checkpoint.manifest.window["holdout_from"]
    )
    return LearningRows.of(held_out[:400], experiment, FeatureContract.from_experiment(experiment))


def ask(
    checkpoint: Checkpoint, rows: LearningRows, experiment: Experiment, weights: ObjectiveWeights | None = None
) -> ServingPolicy:
    contract = FeatureContract.from_experiment(experiment)
    in_force = ObjectiveWeights.in_force(experiment) if weights is None else weights
    return serving_policy(ServingCheckpoint(checkpoint, "it is serving"), rows, experiment, contract, in_force)


def test_it_plays_the_arms_that_serving_would_serve(trained: Any, rows: LearningRows, experiment: Experiment) -> None:
    checkpoint = trained.report.checkpoint
    found = ask(checkpoint, rows, experiment)
    weights = ObjectiveWeights.in_force(experiment)
    q = GraphAnswers(checkpoint, rows, weights).score(np.arange(rows.count))
    expected = preferred_policy(q, weights, rows.frame["request_cohort"].to_list(), None)
    assert found.policy is not None
    assert found.policy.name == found.version == checkpoint.version
    assert np.array_equal(np.asarray(found.policy.arms), np.asarray(expected.arms))
    assert found.refusal is None
    assert found.same_preference


def test_a_new_preference_makes_it_no_refresh(trained: Any, rows: LearningRows, experiment: Experiment) -> None:
    for_core = ObjectiveWeights(7, (0.7, 0.3), {"CORE": (0.2, 0.8)})
    assert ask(trained.report.checkpoint, rows, experiment, ObjectiveWeights(7, (0.7, 0.3), {})).same_preference
    assert not ask(trained.report.checkpoint, rows, experiment, for_core).same_preference
    assert not ask(trained.report.checkpoint, rows, experiment, ObjectiveWeights(7, (0.6, 0.4), {})).same_preference


def test_pinned_to_another_preference_it_gives_way_to_production(
    trained: Any, rows: LearningRows, experiment: Experiment
) -> None:
    checkpoint = trained.report.checkpoint
    pinned = replace(checkpoint, manifest=checkpoint.manifest.model_copy(update={"preference": {"repin": 0, "p2p": 1}}))
    ours, production = ObjectiveWeights(1, (0.0, 1.0)), experiment.action_space.production_arm
    whole = ask(pinned, rows, experiment, ours).policy
    assert whole is not None and whole.arms is not None
    of_core = np.array(rows.frame["request_cohort"].to_list()) == "CORE"
    for weights, away in (
        (ObjectiveWeights(1, (0.5, 0.5)), np.ones(rows.count, dtype=bool)),
        (ObjectiveWeights(1, (0.0, 1.0), {"CORE": (1.0, 0.0)}), of_core),
    ):
        found = ask(pinned, rows, experiment, weights)
        assert found.policy is not None and found.policy.arms is not None
        assert np.array_equal(found.policy.arms, np.where(away, production, whole.arms))
        assert found.detail.endswith(f"than the one in force: production serves {away.mean():.0%} of rows")
        assert not found.same_preference
    other = checkpoint.manifest.model_copy(update={"preference": {"hide": 1}})
    broken = ask(replace(checkpoint, manifest=other), rows, experiment)
    assert "cannot be scored" in broken.detail


def test_rows_inside_its_training_are_refused(trained: Any, experiment: Experiment, rows: LearningRows) -> None:
    checkpoint = trained.report.checkpoint
    newest = int(rows.event_times[-1])
    ancestor = {"version": "v0", "train_to": newest, "embargo_ms": 1}
    late = checkpoint.manifest.window | {"lineage": [ancestor]}
    found = ask(replace(checkpoint, manifest=checkpoint.manifest.model_copy(update={"window": late})), rows, experiment)
    assert found.policy is not None
    assert found.refusal is not None
    assert found.refusal.code is RefusalCode.TRAINED_ON_THESE_ROWS
    assert f"in the span of {rows.count} of these {rows.count} rows" in found.detail
    nameless = replace(checkpoint, manifest=checkpoint.manifest.model_copy(update={"window": {}}))
    unknown = ask(nameless, rows, experiment).refusal
    assert unknown is not None
    assert "does not name its lineage" in unknown.reason


def test_it_is_asked_with_the_encoding_that_it_was_trained_with(
    trained: Any, experiment: Experiment, codec: Any
) -> None:
    """The first version of the encoding accepts an absurd number, the newest refuses it."""
    newest = trained.report.checkpoint
    first = FeatureContract.from_experiment(experiment, encoding=1)
    older = replace(newest, manifest=newest.manifest.model_copy(update={"feature_contract": first.digest}))
    world = World(experiment, codec)
    examples = world.examples(20)
    examples[3]["request"]["context"][1]["value"] = "1e30"
    rows = LearningRows.of(world.frame(examples), experiment, first)
    weights = ObjectiveWeights.in_force(experiment)
    found = serving_policy(ServingCheckpoint(newest, ""), rows, experiment, first, weights)
    assert found.policy is None
    assert "cannot be scored: request feature 'context.hour' contains '1e30'" in found.detail
    assert serving_policy(ServingCheckpoint(older, ""), rows, experiment, first, weights).policy is not None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"action_space": "0" * 64}, "cannot be scored: it differs from this experiment in action space"),
        ({"feature_contract": "0" * 64}, "cannot be scored: it differs from this experiment in features"),
        ({"objectives": ["repin"]}, "cannot be scored: it differs from this experiment in objectives"),
    ],
)
def test_a_checkpoint_of_another_file_is_named(
    trained: Any, rows: LearningRows, experiment: Experiment, fields: dict[str, Any], reason: str
) -> None:
    checkpoint = trained.report.checkpoint
    found = ask(replace(checkpoint, manifest=checkpoint.manifest.model_copy(update=fields)), rows, experiment)
    assert found.policy is None
    assert found.detail.endswith(reason)


def test_a_broken_graph_is_named(trained: Any, rows: LearningRows, experiment: Experiment) -> None:
    broken = replace(trained.report.checkpoint, blobs={**trained.report.checkpoint.blobs, "policy.onnx": b"no graph"})
    found = ask(broken, rows, experiment)
    assert found.policy is None
    assert "is serving and cannot be scored: " in found.detail
    assert "has a graph that cannot be loaded" in found.detail


def test_without_a_preference_nothing_is_compared(trained: Any, rows: LearningRows, experiment: Experiment) -> None:
    found = ask(trained.report.checkpoint, rows, experiment, ObjectiveWeights(0, None))
    assert (found.version, found.policy) == (trained.report.checkpoint.version, None)
    assert "approved preference" in found.detail


def test_a_sampling_checkpoint_serves_a_distribution(rows: LearningRows, experiment: Experiment) -> None:
    graph = softmax_graph(2, experiment.action_space.arms)
    found = ask(answering(experiment, "probabilities", graph, window=EMPTY_LINEAGE), rows, experiment)
    assert found.policy is not None
    assert not found.policy.deterministic
    assert found.refusal is None
    pinned = answering(experiment, "probabilities", graph, window=EMPTY_LINEAGE, preference={"repin": 0, "p2p": 1})
    gives_way = ask(pinned, rows, experiment, ObjectiveWeights(1, (0.0, 1.0), {"CORE": (1.0, 0.0)})).policy
    assert gives_way is not None
    of_production = gives_way.probability_of(np.full(rows.count, experiment.action_space.production_arm))
    of_core = np.array(rows.frame["request_cohort"].to_list()) == "CORE"
    assert (of_production[of_core] == 1.0).all() and (of_production[~of_core] < 1.0).all()


def test_a_box_is_compared_with_production_only(codec: Any) -> None:
    box = box_experiment()
    examples = [each for each in DrawnWorld(box, codec).examples(60) if each["action"]["slice"] == "EXPLORE"]
    proposing = answering(box, "proposal", proposing_graph([0.5, 0.5], [0.1, 0.1]))
    found = ask(proposing, World(box, codec).rows(examples), box)
    assert found.policy is None
    assert "a box are compared with production" in found.detail


def test_nothing_is_serving(rows: LearningRows, experiment: Experiment) -> None:
    contract = FeatureContract.from_experiment(experiment)
    weights = ObjectiveWeights.in_force(experiment)
    found = serving_policy(ServingCheckpoint(None, "production serves"), rows, experiment, contract, weights)
    assert (found.version, found.policy, found.detail) == (None, None, "production serves")
    assert not found.production_serves
    empty = ServingCheckpoint(None, "production serves", stable_empty=True)
    assert serving_policy(empty, rows, experiment, contract, weights).production_serves
