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
from tests.answer_graphs import negative_graph, preferring_graph, proposing_graph, softmax_graph
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
    with pytest.raises(CheckpointBroken, match="not finite"):
        learned_proposals(broken, box)
    outside = asked(
        answering(experiment, "probabilities", negative_graph(experiment.action_space.arms)), rows, experiment
    )
    with pytest.raises(CheckpointBroken, match="no distribution"):
        learned_arm_policies(outside, rows, experiment)
