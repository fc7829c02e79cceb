"""What a learner waits for is in words, with the time of the first possible run."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.duration import format_duration
from event_schemas.experiment import Experiment, parse_experiment
from event_schemas.instant import parse_instant, utc_text
from learner.examples.training_window import window_bounds
from learner.examples.waiting import (
    LEFT_OUT_WORDS,
    SMALLEST_TRAINING_SET,
    earliest_run,
    left_out_in_words,
    no_examples_yet,
    too_few_to_train_on,
)
from tests.learner_samples import experiment_document

EXPERIMENT = parse_experiment(experiment_document(), Path("trimtab.toml"))
HOUR = 3_600_000
GAPS = st.lists(st.integers(0, HOUR // 2), min_size=SMALLEST_TRAINING_SET - 5, max_size=SMALLEST_TRAINING_SET + 20)


def trained_on(usable: np.ndarray, newest: int, experiment: Experiment) -> int:
    bounds = window_bounds(newest, experiment)
    return int(np.sum((usable >= bounds.train_from) & (usable < bounds.train_to)))


@given(GAPS, st.integers(0, 40))
def test_the_earliest_run_is_the_first_moment_with_enough_to_train_on(gaps: list[int], scale: int) -> None:
    usable = np.cumsum(np.array(gaps, dtype=np.int64) * scale // 20)
    when = earliest_run(usable, EXPERIMENT)
    if when is None:
        ends = [int(each) + EXPERIMENT.learner.holdout_window + EXPERIMENT.window_ms for each in usable]
        assert all(trained_on(usable, end, EXPERIMENT) < SMALLEST_TRAINING_SET for end in ends)
    else:
        assert trained_on(usable, when, EXPERIMENT) >= SMALLEST_TRAINING_SET
        assert trained_on(usable, when - 1, EXPERIMENT) < SMALLEST_TRAINING_SET or when - 1 < usable[-1]


@given(st.integers(-3, 3), st.booleans(), st.integers(SMALLEST_TRAINING_SET, SMALLEST_TRAINING_SET + 3))
def test_requests_that_just_fit_the_window_are_all_trained_on(beyond: int, less: bool, count: int) -> None:
    spec = EXPERIMENT.learner
    span = spec.train_window - (EXPERIMENT.window_ms if less else 1_000) + beyond
    usable = np.linspace(0, span, count).astype(np.int64)
    when = earliest_run(usable, EXPERIMENT)
    moments = range(int(usable[-1]), int(usable[-1]) + spec.holdout_window + spec.train_window, 30_000)
    enough = [at for at in moments if trained_on(usable, at, EXPERIMENT) >= SMALLEST_TRAINING_SET]
    if when is None:
        assert enough == []
    else:
        assert trained_on(usable, when, EXPERIMENT) >= SMALLEST_TRAINING_SET
        assert not enough or when <= enough[0]


def test_the_date_is_told_and_nothing_is_a_dictionary() -> None:
    usable = np.arange(SMALLEST_TRAINING_SET, dtype=np.int64) * 1_000 + parse_instant("2026-11-29T10:00:00Z", "now")
    fault = too_few_to_train_on(usable, (3, 61), {"not_explored": 5, "closed_early": 0, "embargo": 1_200}, EXPERIMENT)
    assert fault.what == (
        "only 3 explored examples are old enough to train on, of 64 needed; 61 are held out; left out: 5 not explored,"
        " 1,200 in the embargo"
    )
    when = earliest_run(usable, EXPERIMENT)
    assert when is not None
    assert (
        f"a run can come 6h6m (hold-out 6h, embargo 6m) after the requests, when those of {utc_text(when)}" in fault.fix
    )
    assert f"({utc_text(when + EXPERIMENT.window_ms)} if traffic is live)" in fault.fix
    assert not re.search(r"[{}']", fault.what + fault.fix)


def test_what_is_missing_is_counted() -> None:
    few = too_few_to_train_on(np.array([0, 5], np.int64), (0, 2), {}, EXPERIMENT)
    assert "62 more are needed" in few.fix
    assert "1970-01-01 06:06:00Z" in few.fix
    assert "64 more are needed" in too_few_to_train_on(np.array([], np.int64), (0, 0), {}, EXPERIMENT).fix
    sparse = np.arange(SMALLEST_TRAINING_SET, dtype=np.int64) * EXPERIMENT.learner.train_window
    span = format_duration(EXPERIMENT.learner.train_window - EXPERIMENT.window_ms)
    assert f"64 of them within {span} (learner" in too_few_to_train_on(sparse, (1, 63), {}, EXPERIMENT).fix
    assert "wait: 1 more is needed, and" in too_few_to_train_on(sparse[:63], (0, 63), {}, EXPERIMENT).fix
    assert "6h6m" in no_examples_yet(EXPERIMENT).fix


def test_every_reason_has_its_words() -> None:
    assert left_out_in_words(dict.fromkeys(LEFT_OUT_WORDS, 0)) == "none"
    assert left_out_in_words(dict.fromkeys(LEFT_OUT_WORDS, 1)).count("1 ") == len(LEFT_OUT_WORDS)
