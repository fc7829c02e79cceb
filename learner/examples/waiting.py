"""What a learner waits for, in words: which examples are missing, and when the first run can come.

A run trains on requests that are older than the hold-out and the embargo. By the defaults a log must therefore span
more than a week before there is anything to train on, however many examples it has.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from event_schemas.duration import format_duration
from event_schemas.experiment import Experiment
from event_schemas.instant import utc_text
from learner.examples.learner_errors import NothingToLearn

SMALLEST_TRAINING_SET = 64
LEFT_OUT_WORDS = {
    "not_explored": "not explored",
    "other_action_space": "of another action space",
    "closed_early": "closed early",
    "outside_window": "outside the training window",
    "missing_features": "without a required feature",
    "absurd_features": "with an absurd feature",
    "embargo": "in the embargo",
    "heavy_units": "of users with too many of them",
}


def left_out_in_words(left_out: Mapping[str, int]) -> str:
    """The examples left out, by reason; `none` if there are none."""
    told = [f"{count:,} {LEFT_OUT_WORDS[reason]}" for reason, count in left_out.items() if count]
    return ", ".join(told) or "none"


def no_examples_yet(experiment: Experiment) -> NothingToLearn:
    """The error while nothing is stored."""
    return NothingToLearn(
        "no example is stored yet: a decision becomes an example when its window ends,"
        f" {format_duration(experiment.window_ms)} after its request",
        fix="wait, and see with `trimtab status` whether events wait for the join; the first run can come"
        f" {_delay(experiment)} after the first explored requests",
    )


def too_few_to_train_on(
    usable: NDArray[np.int64], counts: tuple[int, int], left_out: Mapping[str, int], experiment: Experiment
) -> NothingToLearn:
    """The error when `counts` (training, hold-out) leave too few examples for training.

    `usable` has the request times (epoch ms) of all usable examples in ascending order.
    """
    training, holdout = counts
    return NothingToLearn(
        f"only {training} explored examples are old enough to train on, of {SMALLEST_TRAINING_SET} needed;"
        f" {holdout:,} are held out; left out: {left_out_in_words(left_out)}",
        fix=f"wait: {_first_run(usable, experiment)}; or shorten learner.holdout_window",
    )


def earliest_run(usable: NDArray[np.int64], experiment: Experiment) -> int | None:
    """The request time (epoch ms) that the log must reach before a run can train on these examples alone.

    None if they are too few or too far apart. `usable` is in ascending order. As the window moves on, its oldest
    examples leave it.
    """
    needed = SMALLEST_TRAINING_SET
    if len(usable) < needed:
        return None
    first, last = usable[: len(usable) - needed + 1], usable[needed - 1 :]
    # The embargo is cut off at the end of the training window: `window_bounds`.
    span = experiment.learner.train_window - experiment.window_ms
    together = np.flatnonzero(last - first < span)
    return None if len(together) == 0 else int(last[together[0]]) + _span_ms(experiment)


def _first_run(usable: NDArray[np.int64], experiment: Experiment) -> str:
    when = earliest_run(usable, experiment)
    if when is not None:
        return f"a run can come {_delay(experiment)} after the requests, {_at(when, experiment)}"
    more = SMALLEST_TRAINING_SET - len(usable)
    if more <= 0:
        spec = experiment.learner
        span = format_duration(max(0, spec.train_window - experiment.window_ms))
        less = "learner.train_window less the embargo"
        return f"more examples are needed, {SMALLEST_TRAINING_SET} of them within {span} ({less})"
    soonest = f", {_at(int(usable[-1]) + _span_ms(experiment), experiment)} at the earliest" if len(usable) else ""
    needed = "1 more is needed" if more == 1 else f"{more} more are needed"
    return f"{needed}, and a run can come {_delay(experiment)} after the last of them{soonest}"


def _span_ms(experiment: Experiment) -> int:
    """How far the newest request must be ahead of one that is trained on."""
    return experiment.learner.holdout_window + experiment.window_ms


def _at(newest: int, experiment: Experiment) -> str:
    """When requests of that time (epoch ms) are examples."""
    return (
        f"when those of {utc_text(newest)} are examples ({utc_text(newest + experiment.window_ms)} if traffic is live)"
    )


def _delay(experiment: Experiment) -> str:
    holdout, embargo = format_duration(experiment.learner.holdout_window), format_duration(experiment.window_ms)
    return f"{format_duration(_span_ms(experiment))} (hold-out {holdout}, embargo {embargo})"
