"""What a report holds, and what it cannot be made of."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from learner.checkpoints.checkpoint import CheckpointShelf
from learner.examples.learner_errors import CheckpointBroken, NothingToLearn
from learner.examples.stored_files import stored_examples
from learner.policy_comparison import Question, compare
from learner.policy_report import ReportImpossible, ReportOptions, report_content
from tests.box_samples import box_experiment
from tests.report_samples import sample_content


@pytest.fixture(scope="module")
def frame(trained: Any) -> pl.DataFrame:
    return stored_examples(trained.learner.examples_directory)


def test_the_same_rows_and_estimates_as_evaluate(frame: pl.DataFrame, trained: Any) -> None:
    learner = trained.learner
    answer = compare(Question("learned"), frame, learner.shelf, learner.experiment)
    found = report_content(Question("learned"), frame, learner.shelf, learner.experiment)
    assert found.answer.as_dict() == answer.as_dict()
    whole, *cohorts = found.frontiers
    assert [part.cohort for part in found.frontiers] == [None, "CORE", "REST"]
    assert sum(part.rows for part in cohorts) == whole.rows == answer.report.rows
    for point, single in zip(whole.points, answer.report.frontier("dr"), strict=True):
        for name, lift in point.lifts.items():
            assert lift.relative == pytest.approx(single.lifts[name].relative, rel=1e-9)
            band, interval = lift.relative_interval, single.lifts[name].relative_interval
            assert band is not None and interval is not None
            assert band.lower < interval.lower < interval.upper < band.upper
            assert band.level == pytest.approx(whole.level.each)
    of_core = answer.report.frontier("dr", "CORE")[0].lifts["repin"]
    assert cohorts[0].points[0].lifts["repin"].relative == pytest.approx(of_core.relative, rel=1e-9)


def test_every_part_is_there_and_plain_json() -> None:
    content = sample_content()
    told = json.loads(json.dumps(content.as_dict(), allow_nan=False))
    assert [each["name"] for each in told["chosen_weights"]][:2] == ["preference", "alpha=0"]
    assert sum(each["rows"] for each in told["calibration"]["repin"]["bins"]) == told["evaluation"]["rows"]
    assert sum(each["rows"] for each in told["uplift"]["p2p"]) == told["evaluation"]["rows"]
    assert told["head_contribution"]["requests"] == told["evaluation"]["rows"]
    assert [each["group"] for each in told["isolation"]] == ["all features", "user", "history", "context"]
    assert {each["role"] for each in told["frontiers"][0]["candidates"]} == {"leans:repin", "knee", "leans:p2p"}
    assert told["frontiers"][0]["candidates"][0]["rule"]["verdict"] == "pass"
    assert told["frontiers"][0]["points"][0]["lifts"]["repin"]["ess"] > 100
    assert told["gate"]["budget"]["spent"] > 0.0 and told["refusals"] == {}


def test_the_mean_weights_are_those_of_the_chosen_arms() -> None:
    content = sample_content()
    space_use = content.chosen[1].uses[0]
    assert (space_use.weight, space_use.low, space_use.high) == ("repin", 10.0, 200.0)
    assert content.chosen[1].most_common_arm == "repin=200/p2p=30"
    assert space_use.mean > 150.0 > 91.6


def test_an_unsound_log_bounds_nothing(frame: pl.DataFrame, trained: Any) -> None:
    """Propensities that the draws contradict."""
    wrong = frame.with_columns(propensity_propensity=pl.lit(0.9))
    learner = trained.learner
    found = report_content(Question("learned"), wrong, learner.shelf, learner.experiment)
    lifts = [lift for part in found.frontiers for point in part.points for lift in point.lifts.values()]
    lifts += [each.lift for deciles in found.uplift.values() for each in deciles]
    assert all(lift.relative_interval is None and lift.refusal is not None for lift in lifts)
    assert found.frontiers[0].choices.refusal is None
    assert {verdict.verdict.value for verdict in found.frontiers[0].verdicts} == {"inconclusive"}


@pytest.mark.parametrize("reward", [0.0, 1.0])
def test_rewards_that_are_all_alike_say_nothing(frame: pl.DataFrame, trained: Any, reward: float) -> None:
    one = pl.element().struct.with_fields(
        reward=pl.when(pl.element().struct.field("objective") == "p2p")
        .then(pl.lit(reward))
        .otherwise(pl.element().struct.field("reward"))
    )
    alike = frame.with_columns(pl.col("outcome_objectives").list.eval(one))
    with pytest.raises(ReportImpossible, match=f"objective p2p .* rows it is {reward:g}"):
        report_content(Question("learned"), alike, trained.learner.shelf, trained.learner.experiment)


def test_without_a_checkpoint_or_rows(frame: pl.DataFrame, trained: Any, tmp_path: Path) -> None:
    experiment, shelf = trained.learner.experiment, trained.learner.shelf
    with pytest.raises(NothingToLearn, match="no checkpoint"):
        report_content(Question("learned"), frame, CheckpointShelf(tmp_path), experiment)
    with pytest.raises(NothingToLearn, match="no example"):
        report_content(Question("learned"), frame[:0], shelf, experiment)
    old = frame.filter(pl.col("request_event_time") < 1_700_000_600_000)
    with pytest.raises(NothingToLearn, match="no explored example"):
        report_content(Question("learned"), old, shelf, experiment)


def test_a_box_and_a_checkpoint_without_values(frame: pl.DataFrame, trained: Any) -> None:
    learner, checkpoint = trained.learner, trained.report.checkpoint
    with pytest.raises(ReportImpossible, match="action space is a box"):
        report_content(Question("learned"), frame, learner.shelf, box_experiment())
    shares = replace(checkpoint, manifest=checkpoint.manifest.model_copy(update={"answer": "probabilities"}))
    with pytest.raises(ReportImpossible, match="answers with probabilities, not with values"):
        report_content(Question("learned", checkpoint=shares), frame, learner.shelf, learner.experiment)


def test_a_broken_graph_is_named(frame: pl.DataFrame, trained: Any) -> None:
    checkpoint = trained.report.checkpoint
    broken = replace(checkpoint, blobs={**checkpoint.blobs, "policy.onnx": b"junk"})
    with pytest.raises(CheckpointBroken, match="cannot be loaded"):
        report_content(Question("learned", checkpoint=broken), frame, trained.learner.shelf, trained.learner.experiment)


def test_training_rows_that_are_gone_cannot_isolate(frame: pl.DataFrame, trained: Any) -> None:
    learner = trained.learner
    later = frame.filter(pl.col("request_event_time") >= trained.report.checkpoint.manifest.window["holdout_from"])
    with pytest.raises(NothingToLearn, match="training span"):
        report_content(
            Question("learned"), later, learner.shelf, learner.experiment, options=ReportOptions(isolate=True)
        )


def test_the_band_depends_on_its_seed_alone(frame: pl.DataFrame, trained: Any) -> None:
    learner, asked = trained.learner, Question("learned")
    levels = [
        report_content(asked, frame, learner.shelf, learner.experiment, options=ReportOptions(seed=seed))
        .frontiers[0]
        .level.critical
        for seed in (1, 1, 2)
    ]
    assert levels[0] == levels[1] != levels[2]
    assert np.ptp(levels) < 0.05
