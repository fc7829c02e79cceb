"""Any policy on the stored rows."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract
from learner.checkpoints.checkpoint import CheckpointShelf
from learner.checkpoints.graph_answers import GraphAnswers
from learner.checkpoints.serving_checkpoint import ServingCheckpoint
from learner.examples.learner_errors import CheckpointBroken, NothingToLearn
from learner.examples.stored_files import TALLIES_FILE, stored_examples
from learner.examples.tally_shelf import TallyShelf
from learner.examples.training_window import rows_since
from learner.judgement.candidate_policies import preferred_policy
from learner.judgement.log_soundness import LogVerdict
from learner.judgement.table_policy import TableLayout
from learner.policy_comparison import Answer, Question, compare, newest_checkpoint
from policy_store.records.objective_weights import ObjectiveWeights
from tests.answer_graphs import preferring_graph, preferring_values, softmax_graph
from tests.learner.answering_checkpoints import answering


@pytest.fixture
def frame(trained: Any) -> pl.DataFrame:
    return stored_examples(trained.learner.examples_directory)


def ask(question: Question, frame: pl.DataFrame, trained: Any) -> Answer:
    return compare(question, frame, trained.learner.shelf, trained.learner.experiment)


def test_the_learned_policy_is_judged_on_rows_it_has_not_seen(frame: pl.DataFrame, trained: Any) -> None:
    answer = ask(Question("learned"), frame, trained)
    assert answer.first >= trained.report.checkpoint.manifest.window["holdout_from"]
    assert answer.checkpoint == trained.report.checkpoint.version
    assert [policy.name for policy in answer.report.policies][:2] == ["preference", "alpha=0"]
    assert "dr" in answer.report.policies[0].objectives["repin"].estimates
    assert [point["alpha"] for point in json.loads(json.dumps(answer.as_dict()))["frontier"]][-1] == 1.0


def test_the_learned_policy_weighs_the_objectives_as_its_gate_did(
    frame: pl.DataFrame, trained: Any, experiment: Experiment, tmp_path: Path
) -> None:
    """People's weights may have changed since; the file's are not theirs."""
    checkpoint = trained.report.checkpoint
    shelf = CheckpointShelf(tmp_path)
    unweighed = checkpoint.manifest.evaluation | {"preference": ObjectiveWeights(0, None).as_dict()}
    shelf.save(replace(checkpoint, manifest=checkpoint.manifest.model_copy(update={"evaluation": unweighed})))
    assert compare(Question("learned"), frame, shelf, experiment).report.policies[0].name == "equal_weights"


@pytest.mark.parametrize("policy", ["learned", "production"])
def test_rows_that_the_gate_has_yet_to_judge_are_withheld(policy: str, trained: Any, world: Any) -> None:
    """After the look both halves are shown; of later rows only the selection half."""
    later = pl.concat([world.frame(world.examples(6000)), world.frame(world.examples(400, first=6000))])
    question = Question(policy, every_row=policy == "production")
    judged = compare(question, later[:6000], trained.learner.shelf, trained.learner.experiment)
    answer = compare(question, later, trained.learner.shelf, trained.learner.experiment)
    assert judged.withheld == 0
    assert 100 < answer.withheld < 300
    assert answer.report.rows == judged.report.rows + 400 - answer.withheld
    assert answer.as_dict()["withheld"] == answer.withheld


def test_the_learned_policy_is_not_judged_on_its_own_training(frame: pl.DataFrame, trained: Any) -> None:
    with pytest.raises(NothingToLearn, match="on which the policy was trained"):
        ask(Question("learned", every_row=True), frame, trained)


def test_a_policy_is_compared_with_the_checkpoint_that_serves(frame: pl.DataFrame, trained: Any) -> None:
    checkpoint = trained.report.checkpoint
    serving = ServingCheckpoint(checkpoint, "it is serving")
    learned = ask(Question("learned", serving=serving), frame, trained)
    assert [lift.value for lift in learned.serving.lifts.values()] == [0.0, 0.0]
    production = ask(Question("production", serving=serving), frame, trained)
    [policy] = production.report.policies
    assert policy.name == "production"
    lift, back = production.serving.lifts["repin"], learned.report.policies[0].objectives["repin"].dr_lift
    assert back is not None
    assert lift.value == pytest.approx(-back.value, rel=1e-9)
    assert production.as_dict()["serving"]["cohort_lifts"]["CORE"]["repin"]["estimator"] == "dr"
    everything = ask(Question("uniform", every_row=True, serving=serving), frame, trained).serving
    assert {lift.estimator for lift in everything.lifts.values()} == {"snips"}
    assert all(lift.relative_interval is None for lift in everything.lifts.values())
    assert "trained on outcomes" in everything.detail
    assert ask(Question("uniform"), frame, trained).serving.lifts == {}


def test_production_against_itself(frame: pl.DataFrame, trained: Any) -> None:
    [policy] = ask(Question("production"), frame, trained).report.policies
    assert policy.objectives["p2p"].lift.value == 0.0
    assert policy.agreement == 1.0


def test_arms_that_are_alike_are_evaluated_together(make_experiment: Any, make_world: Any, tmp_path: Path) -> None:
    arms = [{"name": name, "features": [size]} for name, size in zip("abcd", (0, 1, 0, 2), strict=True)]
    experiment = make_experiment(weights=[], catalogue={"production": "b", "features": ["size"], "arms": arms})
    world = make_world(experiment, truth=lambda users, features: np.full((len(users), 2), 0.3))
    examples = world.examples(500)
    answer = compare(Question("arm:a", every_row=True), world.frame(examples), CheckpointShelf(tmp_path), experiment)
    rows = world.rows(examples)
    estimate = answer.report.policies[0].objectives["repin"].estimates["mips"]
    alike = (rows.arms == 0) | (rows.arms == 2)
    assert estimate.matched_rows == alike.sum()
    share = 2 * rows.propensities[rows.arms == 0][0]
    assert estimate.value == pytest.approx((rows.rewards[:, 0] * alike / share).mean(), rel=1e-6)
    assert not estimate.gateable


def test_the_log_mean_of_a_uniform_log_is_exact(make_experiment: Any, make_world: Any, tmp_path: Path) -> None:
    experiment = make_experiment(
        weights=[],
        catalogue={
            "production": "b",
            "features": ["f"],
            "arms": [{"name": name, "features": [i]} for i, name in enumerate("abcd")],
        },
    )
    world = make_world(experiment, truth=lambda users, features: np.full((len(users), 2), 0.3))
    frame = world.frame(world.examples(500))
    shelf = CheckpointShelf(tmp_path)
    answer = compare(Question("uniform", every_row=True), frame, shelf, experiment)
    mean = world.rows(world.examples(500)).mean_rewards()[0]
    estimates = answer.report.policies[0].objectives["repin"].estimates
    assert estimates["ips"].value == pytest.approx(mean, rel=1e-14)
    assert estimates["snips"].value == pytest.approx(mean, rel=1e-14)
    assert answer.report.baseline.name == "logged"
    assert "dr" not in estimates
    assert "mips" not in estimates


def test_a_policy_from_a_file(frame: pl.DataFrame, trained: Any, experiment: Experiment, tmp_path: Path) -> None:
    file = tmp_path / "best.parquet"
    pl.DataFrame({"name": [experiment.action_space.arm_names[8]], "p": [1.0]}).write_parquet(file)
    layout = TableLayout(arm_column="name", probability_column="p")
    [policy] = ask(Question(str(file), every_row=True, layout=layout), frame, trained).report.policies
    assert policy.name == "best"
    assert policy.objectives["repin"].lift.relative > 0.1


def test_without_a_checkpoint(frame: pl.DataFrame, experiment: Experiment, tmp_path: Path) -> None:
    shelf = CheckpointShelf(tmp_path)
    with pytest.raises(NothingToLearn, match="no checkpoint"):
        compare(Question("learned"), frame, shelf, experiment)
    answer = compare(Question("uniform"), frame, shelf, experiment)
    assert answer.checkpoint is None
    assert 2000 < answer.report.rows < 2300  # the newest six of some seventeen hours
    with pytest.raises(NothingToLearn, match="no example"):
        compare(Question("uniform"), pl.DataFrame(), shelf, experiment)


def test_a_checkpoint_of_an_older_encoding_is_asked_with_it(
    frame: pl.DataFrame, trained: Any, experiment: Experiment, tmp_path: Path
) -> None:
    checkpoint = trained.report.checkpoint
    first = FeatureContract.from_experiment(experiment, encoding=1)
    shelf = CheckpointShelf(tmp_path)
    manifest = checkpoint.manifest.model_copy(update={"feature_contract": first.digest})
    shelf.save(replace(checkpoint, manifest=manifest))
    answer = compare(Question("learned"), frame, shelf, experiment)
    assert answer.checkpoint == checkpoint.version
    rows = rows_since(frame, answer.first, experiment, first)
    positions = np.arange(rows.count)
    weights = ObjectiveWeights.in_force(experiment)
    scored = GraphAnswers(shelf.load(checkpoint.version), rows, weights).score(positions)
    newest = rows_since(frame, answer.first, experiment, FeatureContract.from_experiment(experiment))
    assert not np.array_equal(scored, GraphAnswers(checkpoint, newest, weights).score(positions)), (
        "hours beyond ten differ"
    )
    model = answer.report.policies[0].objectives["repin"].estimates["dm"].value
    chosen = preferred_policy(scored, weights, rows.frame["request_cohort"].to_list(), None)
    assert chosen.arms is not None
    assert model == pytest.approx(scored[np.arange(rows.count), chosen.arms, 0].mean(), rel=1e-9)


@pytest.mark.parametrize("selection", ["sample", "argmax"])
def test_a_checkpoint_that_answers_with_probabilities_is_judged_without_a_model(
    frame: pl.DataFrame, trained: Any, experiment: Experiment, selection: str
) -> None:
    checkpoint = answering(experiment, "probabilities", softmax_graph(2, experiment.action_space.arms), selection)
    answer = ask(Question("learned", checkpoint=checkpoint), frame, trained)
    [policy] = answer.report.policies
    assert (answer.checkpoint, policy.name) == (checkpoint.version, "preference")
    estimates = policy.objectives["repin"].estimates
    assert "dr" not in estimates
    assert estimates["snips"].interval is not None
    [other] = ask(Question("uniform", checkpoint=checkpoint), frame, trained).report.policies
    assert "dr" not in other.objectives["repin"].estimates


def test_a_graph_that_takes_the_preference_has_a_frontier(
    frame: pl.DataFrame, trained: Any, experiment: Experiment
) -> None:
    checkpoint = answering(experiment, "probabilities", preferring_graph(2, experiment.action_space.arms))
    answer = ask(Question("learned", checkpoint=checkpoint), frame, trained)
    assert [each["alpha"] for each in answer.as_dict()["frontier"]] == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_values_that_depend_on_the_preference_are_asked_for_every_alpha(
    frame: pl.DataFrame, trained: Any, experiment: Experiment
) -> None:
    """α is on p2p, the second objective and, in this graph, arm 1; values for the α in force prefer arm 0."""
    checkpoint = answering(experiment, "values", preferring_values(2, experiment.action_space.arms), "argmax")
    names = experiment.action_space.arm_names
    learned, *stated = (
        ask(Question(policy, checkpoint=checkpoint), frame, trained).report
        for policy in ("learned", f"arm:{names[0]}", f"arm:{names[1]}")
    )
    arms = [report.policies[0].objectives["repin"].estimates["snips"].value for report in stated]
    found = [policy.objectives["repin"].estimates["snips"].value for policy in learned.policies]
    assert found == [arms[0], arms[0], arms[0], arms[0], arms[1], arms[1]]  # in force; α 0, 0.25, 0.5, 0.75, 1


def test_pinned_values_are_judged_under_their_preference_alone(
    frame: pl.DataFrame, trained: Any, experiment: Experiment
) -> None:
    checkpoint = trained.report.checkpoint
    free = ask(Question("learned", checkpoint=checkpoint), frame, trained).report
    manifest = checkpoint.manifest.model_copy(update={"preference": {"p2p": 1.0, "repin": 0.0}})
    [pinned] = ask(
        Question("learned", checkpoint=replace(checkpoint, manifest=manifest)), frame, trained
    ).report.policies
    assert pinned.name == "preference"
    [same] = [policy for policy in free.policies if policy.name == "alpha=1"]
    for name, outcome in pinned.objectives.items():
        assert outcome.estimates["dr"].value == same.objectives[name].estimates["dr"].value


def test_a_checkpoint_of_the_wrong_kind_is_refused(frame: pl.DataFrame, trained: Any, experiment: Experiment) -> None:
    checkpoint = answering(experiment, "proposal", softmax_graph(2, experiment.action_space.arms))
    with pytest.raises(NothingToLearn, match="was trained for another experiment file"):
        ask(Question("learned", checkpoint=checkpoint), frame, trained)


def test_a_checkpoint_without_its_window_is_named(
    frame: pl.DataFrame, trained: Any, experiment: Experiment, tmp_path: Path
) -> None:
    checkpoint = trained.report.checkpoint
    shelf = CheckpointShelf(tmp_path)
    shelf.save(replace(checkpoint, manifest=checkpoint.manifest.model_copy(update={"window": {}})))
    with pytest.raises(CheckpointBroken, match="does not name its hold-out"):
        compare(Question("learned"), frame, shelf, experiment)


def test_a_checkpoint_of_other_features_is_not_used(trained: Any, make_experiment: Any) -> None:
    other = make_experiment(features={"user_embedding_dim": 4})
    assert newest_checkpoint(trained.learner.shelf, other) is None


def test_a_checkpoint_may_be_chosen(frame: pl.DataFrame, trained: Any, tmp_path: Path) -> None:
    """It need not lie on this machine; one that was made for another experiment file is refused."""
    chosen = trained.report.checkpoint
    nothing_here = CheckpointShelf(tmp_path)
    answer = compare(Question("learned", checkpoint=chosen), frame, nothing_here, trained.learner.experiment)
    assert answer.checkpoint == chosen.version
    foreign = replace(chosen, manifest=chosen.manifest.model_copy(update={"objectives": ["repin", "sessions"]}))
    with pytest.raises(NothingToLearn, match=f"{chosen.version} was trained for another experiment file"):
        ask(Question("learned", checkpoint=foreign), frame, trained)


def test_an_arm_is_judged_where_it_and_production_could_be_explored(
    experiment: Experiment, world: Any, tmp_path: Path
) -> None:
    examples = world.examples(60)
    for number, example in enumerate(examples):
        example["action"] |= {"arm": 1, "eligible": [[0, 1], [1, 9], [0, 1, 9]][number % 3]}
    shelf, question = CheckpointShelf(tmp_path), Question("arm:" + experiment.action_space.arm_names[0], every_row=True)
    assert compare(question, world.frame(examples), shelf, experiment).report.rows == 20
    with pytest.raises(NothingToLearn, match="no row could explore both"):
        apart = [example for number, example in enumerate(examples) if number % 3 < 2]
        compare(question, world.frame(apart), shelf, experiment)


def test_the_logs_verdict_comes_first_and_an_unsound_log_bounds_nothing(frame: pl.DataFrame, trained: Any) -> None:
    learner = trained.learner
    kept = TallyShelf(trained.directory / TALLIES_FILE).load()
    kinds = {
        "sound": (frame, kept),
        "completeness_unverified": (frame, None),
        "unsound": (frame.filter(pl.int_range(pl.len()) % 4 > 0), kept),
    }
    for verdict, (stored, tallies) in kinds.items():
        answer = compare(Question("learned"), stored, learner.shelf, learner.experiment, None, tallies)
        content = json.loads(json.dumps(answer.as_dict()))
        assert (next(iter(content)), content["log"]["verdict"]) == ("log", verdict)
        assert ("upper" in json.dumps(content)) == (verdict != "unsound")
    assert [each.code for each in answer.log.reasons] == ["counts"]


def test_a_crawler_is_named_and_judges_nothing(frame: pl.DataFrame, trained: Any) -> None:
    crawls = pl.int_range(pl.len()) % 9 == 0
    users = pl.when(crawls).then(pl.lit("crawler")).otherwise("request_user_id").alias("request_user_id")
    before, after = (ask(Question("learned"), each, trained) for each in (frame, frame.with_columns(users)))
    assert after.report.rows < 0.92 * before.report.rows
    assert [each.name for each in after.log.heavy] == ["crawler"]
    assert after.log.verdict is LogVerdict.UNSOUND and before.log.verdict is LogVerdict.COMPLETENESS_UNVERIFIED
