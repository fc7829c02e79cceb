"""Policies over a box on stored examples, against the truth of the world that earned them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from structlog.testing import capture_logs

from event_schemas.codec import Codec
from event_schemas.registry import Registry
from feature_contract import FeatureContract
from learner.examples.learner_errors import BoxNotLearnt, NothingToLearn
from learner.examples.learning_rows import LearningRows
from learner.judgement.box_judgement import box_log, judge_box
from learner.judgement.table_policy import TableLayout
from off_policy.evaluation_report import EvaluationReport
from off_policy.intervals import EvidenceRequirements
from off_policy.truncated_normals import TruncatedNormals
from tests.box_samples import DrawnWorld, box_experiment, click_rate
from tests.learner_samples import World

CODEC = Codec(Registry.bundled())
BOX = box_experiment()
MEAN, SD = np.array([0.3, 0.4]), np.array([0.15, 0.2])


@cache
def rows() -> LearningRows:
    explored = [each for each in DrawnWorld(BOX, CODEC).examples(4_000) if each["action"]["slice"] == "EXPLORE"]
    return World(BOX, CODEC).rows(explored)


def judged(policy: str, given: LearningRows | None = None) -> EvaluationReport:
    requirements = EvidenceRequirements(0.99, 100, 30)
    report, watched = judge_box(policy, rows() if given is None else given, TableLayout(), BOX, requirements)
    assert watched is None, "nothing is only watched"
    return report


def table(path: Path, **columns: Any) -> str:
    space = BOX.action_space
    own = dict(zip(space.weight_names, (space.low + MEAN * (space.high - space.low)).tolist(), strict=True))
    pl.DataFrame({name: [value] for name, value in (own | columns).items()}).write_parquet(path / "mine.parquet")
    return str(path / "mine.parquet")


def test_proposals_with_sds_are_judged_and_the_truth_is_inside(tmp_path: Path) -> None:
    sides = BOX.action_space.high - BOX.action_space.low
    report = judged(table(tmp_path, **{"sd.repin": SD[0] * sides[0], "sd.p2p": SD[1] * sides[1]}))
    draws = TruncatedNormals(MEAN, SD).quantile(np.random.default_rng(0).random((200_000, 2)))
    truth, production = click_rate(draws).mean(), click_rate(np.array([[10 / 190, 8.1 / 29]]))[0]
    assert [policy.name for policy in report.policies] == ["mine", "logged"]
    for name in ("snips", "dr", "sndr"):
        interval = report.report_of("mine").objectives["repin"].estimates[name].interval
        assert interval is not None
        assert interval.lower < truth < interval.upper
    baseline = report.baseline.objectives["repin"].estimates["snips"].interval
    assert baseline is not None
    assert baseline.lower < production < baseline.upper
    lift = report.report_of("mine").objectives["repin"].dr_lift
    assert lift is not None and lift.interval is not None
    assert lift.interval.lower < truth - production < lift.interval.upper
    logged = report.report_of("logged").objectives["repin"].estimates["snips"]
    assert logged.value == pytest.approx(rows().rewards[:, 0].mean())


def test_what_is_only_watched_is_judged_as_if_it_were_optimised() -> None:
    """The second objective as a guardrail: the same policies, the same rows, the same figures."""
    first, second = BOX.objectives
    watching = BOX.model_copy(
        update={
            "objectives": (first, second.model_copy(update={"role": "guardrail"})),
            "preference": BOX.preference.model_copy(update={"alpha_objective": None}),
        }
    )
    given = LearningRows.of(rows().frame, watching, FeatureContract.from_experiment(watching))
    requirements = EvidenceRequirements(0.99, 100, 30)
    report, watched = judge_box("uniform", given, TableLayout(), watching, requirements)
    assert (report.objectives, watched and watched.objectives) == ((first.name,), (second.name,))
    assert watched is not None
    both, [alone, *_] = judged("uniform").policies[0].objectives[second.name], watched.policies
    found, wanted = (
        {name: each.value for name, each in of.estimates.items()} for of in (alone.objectives[second.name], both)
    )
    assert found == pytest.approx(wanted, rel=1e-9, nan_ok=True)
    assert alone.objectives[second.name].lift == both.lift


def test_proposals_without_sds_are_shown_but_never_trusted(tmp_path: Path) -> None:
    report = judged(table(tmp_path))
    [estimate] = report.report_of("mine").objectives["repin"].estimates.values()
    assert (estimate.estimator, estimate.interval, estimate.gateable) == ("kernel_snips", None, False)
    assert estimate.value == pytest.approx(click_rate(MEAN[None, :])[0], abs=0.1)


def test_production_and_uniform_need_no_file() -> None:
    assert judged("production").report_of("production").objectives["repin"].lift.value == 0.0
    assert judged("uniform").policies[0].objectives["repin"].estimates["snips"].value > 0.2


def test_what_cannot_be_judged_says_what_can() -> None:
    with pytest.raises(BoxNotLearnt, match="no policy 'learned'"):
        judged("learned")
    example = World(BOX, CODEC).example(0, 0, 0.875, [0.0] * 4, [0.0, 0.0])
    example["action"]["weights"] = [20.0, 9.1]
    with pytest.raises(NothingToLearn, match="none of 1 explored examples"):
        judged("production", World(BOX, CODEC).rows([example]))


def test_a_vector_without_a_density_is_left_out_and_named() -> None:
    frame = rows().frame.with_columns(
        propensity_log_density=pl.when(pl.int_range(pl.len()) < 40).then(None).otherwise("propensity_log_density")
    )
    broken = LearningRows.of(frame, BOX, FeatureContract.from_experiment(BOX))
    with capture_logs() as logs:
        usable, log = box_log(broken, BOX)
    lost = int((broken.arms[:40] == 0).sum())
    assert (usable.count, log.rows) == (broken.count - lost, broken.count - lost)
    assert [line["rows"] for line in logs] == [lost]


def test_a_session_is_one_unit_and_its_user_another_level() -> None:
    units = rows().units
    ids = [request_id.rpartition("~")[0] for request_id in rows().frame["request_request_id"]]
    assert len(np.unique(units)) == len(set(ids)) < rows().count
    frame = rows().frame.with_columns(request_user_id=pl.lit("u1"))
    assert len(np.unique(LearningRows.of(frame, BOX, FeatureContract.from_experiment(BOX)).units)) == 1


def test_every_policy_serves_what_is_eligible_and_production_is_judged_where_it_could_be_explored() -> None:
    """Requests that allow one arm only, and click more than others, do not shift a value or a lift."""
    kinds: list[list[int]] = [[], [0], [1]]
    frame = rows().frame.with_row_index("row").with_columns(kind=pl.col("row") % 3)
    vector = pl.col("action_arm") == 0
    kept = frame.filter((pl.col("kind") == 0) | ((pl.col("kind") == 1) == vector))
    forced = kept.with_columns(
        action_eligible=pl.col("kind").replace_strict(dict(enumerate(kinds)), return_dtype=pl.List(pl.Int32)),
        propensity_propensity=pl.when(pl.col("kind") > 0).then(1.0).otherwise("propensity_propensity"),
    )
    given = LearningRows.of(forced, BOX, FeatureContract.from_experiment(BOX))
    report = judged("uniform", given)
    both = np.isin(forced["kind"].to_numpy(), (0, 2))
    assert report.rows == both.sum()
    ips, production = (
        each.objectives["repin"].estimates["ips"] for each in (report.report_of("uniform"), report.baseline)
    )
    propensity, rewards, atom = given.propensities[both], given.rewards[both, 0], given.arms[both] == 1
    assert production.value == pytest.approx(np.mean(atom * rewards / propensity))
    density = np.exp(forced["propensity_log_density"].fill_null(0.0).to_numpy()[both])
    only = forced["kind"].to_numpy()[both] == 2
    served = np.where(only, 1.0, ~atom / propensity / density)
    assert ips.value == pytest.approx(np.mean(served * rewards))
