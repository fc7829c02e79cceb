"""A checkpoint's graph is asked as serving asks it, and its policies are those that serving would follow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment
from event_schemas.exploration import ExplorationDraws
from learner.checkpoints.graph_answers import GraphAnswers, learned_arm_policies, learned_proposals
from learner.examples.learner_errors import CheckpointBroken
from learner.examples.learning_rows import LearningRows
from policy_store.records import ObjectiveWeights
from serving_agent.decide.policy_answers import AnswerDraws, ArmProbabilities
from tests.answer_graphs import constant_graph, negative_graph, preferring_graph, proposing_graph, softmax_graph
from tests.box_samples import DrawnWorld, box_experiment
from tests.learner.answering_checkpoints import answering
from tests.learner_samples import World

FIRST = np.arange(60)


@pytest.fixture
def rows(experiment: Experiment, codec: Codec) -> LearningRows:
    """Every third request allows three arms only."""
    world = World(experiment, codec)
    examples = world.examples(60)
    for number, example in enumerate(examples):
        if number % 3 == 0:
            example["action"]["eligible"] = sorted({example["action"]["arm"], 0, 1})
    return world.rows(examples)


def box_examples(box: Experiment, codec: Codec) -> list[dict[str, Any]]:
    return [each for each in DrawnWorld(box, codec).examples(60) if each["action"]["slice"] == "EXPLORE"]


def asked(checkpoint: Any, rows: LearningRows, experiment: Experiment) -> GraphAnswers:
    return GraphAnswers(checkpoint, rows, ObjectiveWeights.in_force(experiment))


def test_a_sampling_policy_has_the_distribution_that_serving_draws_from(
    rows: LearningRows, experiment: Experiment
) -> None:
    space = experiment.action_space
    checkpoint = answering(experiment, "probabilities", softmax_graph(2, space.arms))
    [policy] = learned_arm_policies(asked(checkpoint, rows, experiment), rows, experiment)
    found = np.asarray(policy.probabilities)
    draws = AnswerDraws(space, ExplorationDraws(space, experiment.exploration))
    pi = asked(checkpoint, rows, experiment).outputs(FIRST)["pi"]
    for row, eligible in enumerate(rows.eligible_lists.lists(rows.eligible_lists.group)):
        served = draws.draw_served("any", ArmProbabilities(pi[row : row + 1]), eligible)
        assert found[row] == pytest.approx(served.probabilities)


def test_a_policy_that_does_not_sample_plays_the_most_probable_eligible_arm(
    rows: LearningRows, experiment: Experiment
) -> None:
    checkpoint = answering(experiment, "probabilities", softmax_graph(2, experiment.action_space.arms), "argmax")
    [policy] = learned_arm_policies(asked(checkpoint, rows, experiment), rows, experiment)
    lists = rows.eligible_lists.lists(rows.eligible_lists.group)
    assert policy.arms is not None
    assert all(
        arm == (2 if not eligible or 2 in eligible else 0) for arm, eligible in zip(policy.arms, lists, strict=True)
    )


def test_a_graph_that_takes_the_preference_gives_a_policy_for_each_alpha(
    rows: LearningRows, experiment: Experiment
) -> None:
    checkpoint = answering(experiment, "probabilities", preferring_graph(2, experiment.action_space.arms))
    answers = asked(checkpoint, rows, experiment)
    in_force, *swept = learned_arm_policies(answers, rows, experiment)
    assert [policy.alpha for policy in swept] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert [policy.name for policy in swept[:2]] == ["alpha=0", "alpha=0.25"]
    # The file's alpha is 0.3, on p2p, the second objective and, in this graph, the second arm.
    share = np.asarray(in_force.probabilities)[1, :2]
    assert share[1] / share[0] == pytest.approx(np.exp(5 * (0.3 - 0.7)), rel=0.02)
    shares = [np.asarray(policy.probabilities)[1, 1] for policy in swept]
    assert shares == sorted(shares)


def test_a_pinned_preference_is_the_one_that_is_asked_about(rows: LearningRows, experiment: Experiment) -> None:
    graph = preferring_graph(2, experiment.action_space.arms)
    pinned = answering(experiment, "probabilities", graph, preference={"repin": 0.0, "p2p": 1.0})
    free = asked(answering(experiment, "probabilities", graph), rows, experiment)
    assert asked(pinned, rows, experiment).outputs(FIRST)["pi"] == pytest.approx(
        free.outputs(FIRST, [0.0, 1.0])["pi"], abs=1e-12
    )


def test_proposals_are_normalised(codec: Codec) -> None:
    box = box_experiment()
    rows = World(box, codec).rows(box_examples(box, codec))
    graph = proposing_graph([105.0, 15.5], [19.0, 2.9], 9.5)
    checkpoint = answering(box, "proposal", graph, preference={"repin": 0.5, "p2p": 0.5})
    proposals = learned_proposals(asked(checkpoint, rows, box), box)
    users = np.array(rows.inputs["user_embedding"])
    assert proposals.mean[:, 0] == pytest.approx(0.5 + 0.05 * np.tanh(users[:, 0]), abs=1e-6)
    assert proposals.mean[:, 1] == pytest.approx(0.5)
    assert proposals.sd is not None
    assert proposals.sd == pytest.approx(np.full((rows.count, 2), 0.1), abs=1e-6)
    plain = answering(box, "proposal", graph, "argmax")
    assert learned_proposals(asked(plain, rows, box), box).sd is None


def test_answers_that_are_no_distribution_are_refused(rows: LearningRows, experiment: Experiment, codec: Codec) -> None:
    values = proposing_graph([float("nan"), 1.0], [1.0, 1.0])
    box = box_experiment()
    box_rows = World(box, codec).rows(box_examples(box, codec))
    broken = asked(answering(box, "proposal", values), box_rows, box)
    with pytest.raises(CheckpointBroken, match="outside the box for"):
        learned_proposals(broken, box)
    outside = asked(
        answering(experiment, "probabilities", negative_graph(experiment.action_space.arms)), rows, experiment
    )
    with pytest.raises(CheckpointBroken, match="no distribution"):
        learned_arm_policies(outside, rows, experiment)


@pytest.mark.parametrize(
    ("mean", "sd"), [([500.0, 15.0], [19.0, 2.9]), ([105.0, 15.0], [1e9, 2.9]), ([105.0, 15.0], [1e-9, 2.9])]
)
def test_proposals_that_serving_refuses_are_not_judged(codec: Codec, mean: list[float], sd: list[float]) -> None:
    """Their requests get production, so moving them into the box would judge what nobody serves."""
    box = box_experiment()
    rows = World(box, codec).rows(box_examples(box, codec))
    answers = asked(answering(box, "proposal", proposing_graph(mean, sd, 0.0)), rows, box)
    with pytest.raises(CheckpointBroken, match=f"outside the box for {rows.count} of {rows.count} requests"):
        learned_proposals(answers, box)


def test_probabilities_that_do_not_sum_to_one_are_not_judged(rows: LearningRows, experiment: Experiment) -> None:
    graph = constant_graph("pi", np.full((1, experiment.action_space.arms), 0.3, np.float32))
    with pytest.raises(CheckpointBroken, match="no distribution"):
        learned_arm_policies(asked(answering(experiment, "probabilities", graph), rows, experiment), rows, experiment)


def test_a_graph_without_inputs_answers_for_every_row(rows: LearningRows, experiment: Experiment) -> None:
    """Nodes serve it, so it can be judged."""
    pi = np.array([[0.9, *[0.1 / (experiment.action_space.arms - 1)] * (experiment.action_space.arms - 1)]], np.float32)
    answers = asked(answering(experiment, "probabilities", constant_graph("pi", pi)), rows, experiment)
    assert answers.outputs(FIRST)["pi"] == pytest.approx(np.repeat(pi, 60, axis=0))
    [policy] = learned_arm_policies(answers, rows, experiment)
    assert np.asarray(policy.probabilities).shape == (60, experiment.action_space.arms)


@pytest.mark.parametrize(
    ("graph", "told"),
    [
        (b"no graph", "cannot be loaded"),
        (constant_graph("q", np.zeros((1, 2), np.float32)), "cannot be run"),
        (constant_graph("pi", np.full((1, 4), 0.25, np.float32)), r"pi of shape \(4,\), not \(10,\)"),
        (constant_graph("pi", np.ones((1, 10), np.int64)), "no array of floats"),
    ],
    ids=["no graph", "another output", "too few arms", "whole numbers"],
)
def test_a_graph_that_does_not_fit_is_named(
    rows: LearningRows, experiment: Experiment, graph: bytes, told: str
) -> None:
    with pytest.raises(CheckpointBroken, match=told):
        learned_arm_policies(asked(answering(experiment, "probabilities", graph), rows, experiment), rows, experiment)


def test_a_policy_is_named_by_whether_people_weighed_the_objectives(rows: LearningRows, experiment: Experiment) -> None:
    """With a pinned preference there is one; under others it is not served, so there is no frontier."""
    graph = preferring_graph(2, experiment.action_space.arms)
    free = answering(experiment, "probabilities", graph)
    unweighed = GraphAnswers(free, rows, ObjectiveWeights(0, None))
    assert learned_arm_policies(unweighed, rows, experiment)[0].name == "equal_weights"
    pinned = answering(experiment, "probabilities", graph, preference={"repin": 0.0, "p2p": 1.0})
    [policy] = learned_arm_policies(GraphAnswers(pinned, rows, ObjectiveWeights(0, None)), rows, experiment)
    assert policy.name == "preference"
    with pytest.raises(CheckpointBroken, match="is pinned to weights of click"):
        asked(answering(experiment, "probabilities", graph, preference={"click": 1.0}), rows, experiment)
