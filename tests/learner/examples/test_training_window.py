"""Train, embargo, hold-out, and what stays out of both."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract
from learner.examples.learner_errors import LineageOverlap, NothingToLearn
from learner.examples.training_window import (
    NAMED_ROWS,
    Ancestor,
    WindowBounds,
    build_window,
    require_disjoint,
    rows_since,
    window_bounds,
)
from learner.examples.waiting import LEFT_OUT_WORDS

HOUR = 3_600_000


@pytest.fixture
def contract(experiment: Experiment) -> FeatureContract:
    return FeatureContract.from_experiment(experiment)


def test_the_spans_are_those_of_the_design(experiment: Experiment) -> None:
    bounds = window_bounds(100 * HOUR - 1, experiment)
    assert (bounds.holdout_from, bounds.holdout_to) == (94 * HOUR, 100 * HOUR)
    assert bounds.embargo_ms == experiment.window_ms == 6 * 60_000
    assert (bounds.train_from, bounds.train_to) == (82 * HOUR, 94 * HOUR - bounds.embargo_ms)


def test_now_is_the_newest_event_not_the_clock(experiment: Experiment, contract: FeatureContract, world: Any) -> None:
    examples = world.examples(3000)
    window = build_window(world.frame(examples), experiment, contract)
    assert window.bounds.holdout_to == examples[-1]["request"]["event_time"] + 1
    assert window.training.event_times.max() < window.bounds.train_to
    assert window.holdout.event_times.min() >= window.bounds.holdout_from
    assert window.training.count + window.holdout.count + sum(window.left_out.values()) == 3000
    assert set(window.left_out) == set(LEFT_OUT_WORDS), "all of them can be told"


def test_no_outcome_of_training_can_lie_in_the_holdout(
    experiment: Experiment, contract: FeatureContract, world: Any
) -> None:
    window = build_window(world.frame(world.examples(3000)), experiment, contract)
    last_outcome = window.training.event_times.max() + experiment.window_ms
    assert last_outcome < window.holdout.event_times.min()


def test_the_order_is_by_time_then_id_whatever_the_log_gave(
    experiment: Experiment, contract: FeatureContract, world: Any
) -> None:
    examples = world.examples(2500)
    shuffled = [examples[i] for i in np.random.default_rng(0).permutation(2500)]
    straight = build_window(world.frame(examples), experiment, contract)
    other = build_window(world.frame(shuffled), experiment, contract)
    assert other.training.frame["request_request_id"].equals(straight.training.frame["request_request_id"])
    np.testing.assert_array_equal(other.training.arms, straight.training.arms)


def test_only_sound_explored_rows_of_this_action_space_enter(
    experiment: Experiment, contract: FeatureContract, world: Any
) -> None:
    examples = world.examples(3000)
    for i, name in enumerate(("CONTROL", "POLICY", "FALLBACK")):
        examples[i]["action"]["slice"] = name
    examples[10]["action"]["action_space"] = "0" * 64
    examples[11]["outcome"]["closed_early"] = True
    examples[2999 - 1]["request"]["user_embedding"] = []
    window = build_window(world.frame(examples), experiment, contract)
    assert window.left_out["not_explored"] == 3
    assert window.left_out["other_action_space"] == 1
    assert window.left_out["closed_early"] == 1
    assert window.left_out["missing_features"] == 1
    entered = {*window.training.frame["request_request_id"], *window.holdout.frame["request_request_id"]}
    assert not entered & {f"r{i:06d}" for i in (0, 1, 2, 10, 11, 2998)}


def test_an_absurd_row_is_left_out_counted_and_named(
    experiment: Experiment, contract: FeatureContract, world: Any
) -> None:
    examples = world.examples(3000)
    examples[5]["request"]["context"][1]["value"] = "1e30"
    examples[7]["request"]["user_embedding"][2] = 1e30
    examples[9]["request"]["user_embedding"] = []
    with capture_logs() as said:
        window = build_window(world.frame(examples), experiment, contract)
    assert (window.left_out["absurd_features"], window.left_out["missing_features"]) == (2, 1)
    assert [(line["request_id"], line["feature"], line["value"]) for line in said] == [
        ("r000005", "context.hour", "'1e30'"),
        ("r000007", "user_embedding", "1.0000000150474662e+30"),
    ]
    for example in examples:
        example["request"]["context"][1]["value"] = "nan"
    with capture_logs() as said, pytest.raises(NothingToLearn, match="2,999 with an absurd feature"):
        build_window(world.frame(examples), experiment, contract)
    assert len(said) == NAMED_ROWS + 1
    assert said[-1]["examples"] == 2999 - NAMED_ROWS


def test_too_little_to_train_on_says_what_was_left_out(
    experiment: Experiment, contract: FeatureContract, world: Any
) -> None:
    with pytest.raises(
        NothingToLearn, match=r"only 0 explored examples are old enough .* 20 are held out; left out: none"
    ):
        build_window(world.frame(world.examples(20)), experiment, contract)
    with pytest.raises(NothingToLearn, match="no example is stored yet"):
        build_window(pl.DataFrame(), experiment, contract)


def test_rows_since(experiment: Experiment, contract: FeatureContract, world: Any) -> None:
    examples = world.examples(30)
    since = examples[10]["request"]["event_time"]
    assert rows_since(world.frame(examples), since, experiment, contract).count == 20
    with pytest.raises(NothingToLearn, match="no explored example"):
        rows_since(world.frame(examples), since + 10**9, experiment, contract)


@given(st.lists(st.integers(0, 1000), max_size=6), st.integers(0, 1000), st.integers(0, 200))
def test_a_lineage_is_accepted_exactly_when_every_outcome_ends_before_the_holdout(
    ends: list[int], holdout_from: int, embargo: int
) -> None:
    bounds = WindowBounds(0, holdout_from - embargo, holdout_from, holdout_from + 10, embargo)
    lineage = [Ancestor(f"v{i}", end, embargo) for i, end in enumerate(ends)]
    if all(end + embargo <= holdout_from for end in ends):
        require_disjoint(bounds, lineage)
    else:
        with pytest.raises(LineageOverlap, match="v"):
            require_disjoint(bounds, lineage)


def test_an_ancestor_that_waited_longer_for_outcomes_is_judged_by_its_own_embargo() -> None:
    bounds = WindowBounds(0, 90, 100, 110, 10)
    require_disjoint(bounds, [Ancestor("v0", 50, 50)])
    with pytest.raises(LineageOverlap, match=r"v0 .* extend to 101"):
        require_disjoint(bounds, [Ancestor("v0", 50, 51)])
