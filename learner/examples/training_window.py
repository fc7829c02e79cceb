"""Which examples are trained on, which are held out, and the check that the two do not overlap.

    train_from ──── train ──── train_to   embargo   holdout_from ──── hold-out ──── holdout_to
                                       └ an outcome may come this long after its request ┘

"Now" is the newest closed event time, not the wall clock, so that a log gives the same window at any time. The embargo
is the longest attribution window plus lateness, so no outcome of a training request can fall into the hold-out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import polars as pl
import structlog
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from event_schemas.exploration import ExplorationSettings
from feature_contract import AbsurdFeature, FeatureContract
from learner.examples.forgotten_decisions import ForgottenDecisions
from learner.examples.frame_rows import rows_at
from learner.examples.heavy_units import HeavyUnit, heavy_units, without_units
from learner.examples.learner_errors import LineageOverlap, NothingToLearn
from learner.examples.learning_rows import LearningRows
from learner.examples.previous_fill import PreviousCounts, fill_previous
from learner.examples.stored_counts import StoredCounts
from learner.examples.waiting import SMALLEST_TRAINING_SET, left_out_in_words, no_examples_yet, too_few_to_train_on

Reading = tuple[FeatureContract, Mapping[str, ExplorationSettings] | None]
"""What rows are read with: the encoding of features, and the kept exploration settings."""
NAMED_ROWS = 10
"""How many rows with an absurd feature a run names in the log."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WindowBounds:
    """Half-open spans of request event time, epoch milliseconds."""

    train_from: int
    train_to: int
    holdout_from: int
    holdout_to: int
    embargo_ms: int

    def as_dict(self) -> dict[str, int]:
        """For the checkpoint's manifest."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A checkpoint from which a warm start descends; it was trained on requests before `train_to`.

    `embargo_ms` is the embargo of its own run: how long after its request an outcome could come. Up to the number
    `forgotten` of the list `forgotten_list`, forgotten decisions were not among its rows (`ForgottenDecisions`).
    """

    version: str
    train_to: int
    embargo_ms: int
    forgotten: int = 0
    forgotten_list: str | None = None

    @property
    def outcomes_to(self) -> int:
        """All outcomes that it was trained on are earlier than this."""
        return self.train_to + self.embargo_ms

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """From a checkpoint's manifest."""
        named = content.get("forgotten_list")
        return cls(
            version=str(content["version"]),
            train_to=int(content["train_to"]),
            embargo_ms=int(content["embargo_ms"]),
            forgotten=int(content.get("forgotten", 0)),
            forgotten_list=None if named is None else str(named),
        )


@dataclass(frozen=True, eq=False)
class LearningWindow:
    """Rows for training and rows held out, each ordered by (event_time, request_id), and counts left out by reason.

    `previous` says where the weights served before came from; None if they are not a feature. `control` has the CONTROL
    decisions of the hold-out's span, with the columns of examples. `heavy` are the units that are in neither split
    because they have too much of one. `stored` counts all stored decisions, also those of no use here. `forgotten` are
    decisions that are not stored any more.
    """

    bounds: WindowBounds
    training: LearningRows
    holdout: LearningRows
    left_out: dict[str, int]
    previous: PreviousCounts | None = None
    control: pl.DataFrame = field(default_factory=pl.DataFrame)
    heavy: tuple[HeavyUnit, ...] = ()
    stored: StoredCounts = field(default_factory=StoredCounts)
    forgotten: ForgottenDecisions = field(default_factory=ForgottenDecisions)


def window_bounds(now: int, experiment: Experiment) -> WindowBounds:
    """The spans if `now` is the event time of the newest closed request."""
    spec, embargo = experiment.learner, experiment.window_ms
    holdout_to = now + 1
    holdout_from = holdout_to - spec.holdout_window
    train_to = holdout_from - embargo
    return WindowBounds(holdout_from - spec.train_window, train_to, holdout_from, holdout_to, embargo)


def require_disjoint(bounds: WindowBounds, lineage: Sequence[Ancestor]) -> None:
    """Raise LineageOverlap if an outcome that this run or an ancestor was trained on may be in the hold-out."""
    for ancestor in (Ancestor("this run", bounds.train_to, bounds.embargo_ms), *lineage):
        if ancestor.outcomes_to > bounds.holdout_from:
            raise LineageOverlap(
                f"{ancestor.version} was trained on requests up to {ancestor.train_to}; their outcomes extend to "
                f"{ancestor.outcomes_to}, into the hold-out, which starts at {bounds.holdout_from}",
                fix="start cold, or shorten the hold-out window",
            )


def build_window(
    frame: pl.DataFrame,
    experiment: Experiment,
    contract: FeatureContract,
    explorations: Mapping[str, ExplorationSettings] | None = None,
    now: int | None = None,
) -> LearningWindow:
    """Split the stored examples; raises NothingToLearn if too few are left for training.

    `now` is the event time at which the hold-out ends; if it is None, that of the newest example.

    Only EXPLORE decisions of the experiment's own action space are used, because only these have known, positive
    propensities for every arm. Decisions that closed early are left out, because their later engagements are missing,
    and so are units with too much of either split (`heavy_units`).
    """
    if frame.height == 0:
        raise no_examples_yet(experiment)
    newest = int(frame["request_event_time"].to_numpy().max())
    bounds = window_bounds(newest if now is None else now, experiment)
    span = (bounds.train_from, bounds.holdout_to)
    rows, left_out, previous = _usable(frame, span, experiment, (contract, explorations))
    training = rows.take(rows.event_times < bounds.train_to).encoded_only()
    holdout = rows.take(rows.event_times >= bounds.holdout_from)
    left_out["embargo"] = rows.count - training.count - holdout.count
    heavy = tuple({each.name: each for part in (training, holdout) for each in heavy_units(part)}.values())
    splits = without_units(training, heavy), without_units(holdout, heavy)
    left_out["heavy_units"] = training.count + holdout.count - splits[0].count - splits[1].count
    training, holdout = splits
    if training.count < SMALLEST_TRAINING_SET:
        raise too_few_to_train_on(rows.event_times, (training.count, holdout.count), left_out, experiment)
    control = control_rows(frame, (bounds.holdout_from, bounds.holdout_to), experiment)
    return LearningWindow(bounds, training, holdout, left_out, previous, control, heavy, StoredCounts.of(frame))


def rows_since(
    frame: pl.DataFrame,
    since: int,
    experiment: Experiment,
    contract: FeatureContract,
    explorations: Mapping[str, ExplorationSettings] | None = None,
) -> LearningRows:
    """All usable rows with requests not older than `since` (epoch ms), for an evaluation without training."""
    if frame.height == 0:
        raise NothingToLearn("no example is stored on this machine", fix="run `trimtab learn` first")
    rows, left_out, _ = _usable(frame, (since, 2**62), experiment, (contract, explorations))
    if rows.count == 0:
        raise NothingToLearn(
            f"there is no explored example to evaluate on; left out: {left_out_in_words(left_out)}",
            fix="wait for more, or give --all",
        )
    return rows


def control_rows(frame: pl.DataFrame, span: tuple[int, int], experiment: Experiment) -> pl.DataFrame:
    """The experiment's CONTROL decisions in a half-open span of event times, for the check of their draws."""
    inside = pl.col("request_event_time").is_between(*span, closed="left")
    own = pl.col("action_action_space") == experiment.action_space.digest
    return frame.filter((pl.col("action_slice") == "CONTROL") & own & inside)


def _usable(
    frame: pl.DataFrame, span: tuple[int, int], experiment: Experiment, reading: Reading
) -> tuple[LearningRows, dict[str, int], PreviousCounts | None]:
    """The rows usable for training and estimates, in order, and the number of rows left out by reason.

    `span` is half-open, in epoch milliseconds. If the weights served before are a feature, they are filled in from all
    of `frame`, and the counts say how.
    """
    places, left_out = _places(frame, span, experiment)
    ordered = rows_at(frame, places)
    filled, previous = _with_previous(ordered, frame, experiment, reading[0])
    rows, unencodable = _encodable(filled, experiment, reading)
    return rows, left_out | unencodable, previous


def _places(
    frame: pl.DataFrame, span: tuple[int, int], experiment: Experiment
) -> tuple[NDArray[np.int64], dict[str, int]]:
    """The positions of the usable rows, by time, and the number of others by reason.

    Conditions are applied to row numbers, and the rows are copied once: they may fill most of the memory.
    """
    numbered = frame.lazy().select(
        "request_event_time", "request_request_id", "action_slice", "action_action_space", "outcome_closed_early"
    )
    rest = numbered.with_row_index("row").collect()
    left_out = dict[str, int]()
    for reason, usable in {
        "not_explored": pl.col("action_slice") == "EXPLORE",
        "other_action_space": pl.col("action_action_space") == experiment.action_space.digest,
        "closed_early": ~pl.col("outcome_closed_early"),
        "outside_window": pl.col("request_event_time").is_between(*span, closed="left"),
    }.items():
        kept = rest.filter(usable)
        left_out[reason] = rest.height - kept.height
        rest = kept
    ordered = rest.sort("request_event_time", "request_request_id")
    return ordered["row"].to_numpy().astype(np.int64), left_out


def _with_previous(
    rows: pl.DataFrame, log_frame: pl.DataFrame, experiment: Experiment, contract: FeatureContract
) -> tuple[pl.DataFrame, PreviousCounts | None]:
    """The rows with what their users were served before, if that is a feature, and how many of them had it."""
    if contract.previous is None:
        return rows, None
    filled, counts = fill_previous(rows, log_frame, experiment.action_space, contract.previous.length)
    if counts.filled and not counts.echoed:
        log.warning(
            "no request says what its user was served before; the log stands in",
            filled=counts.filled,
            without=counts.without,
            fix="send `previous` with requests, or set serving.remember_previous: policies do not see the log",
        )
    return filled, counts


def _encodable(frame: pl.DataFrame, experiment: Experiment, reading: Reading) -> tuple[LearningRows, dict[str, int]]:
    """The rows that have all required features; the others, which get FALLBACK in serving, are counted by reason."""
    rows, faults = LearningRows.encodable(frame, experiment, *reading)
    absurd = {row: fault for row, fault in faults.items() if isinstance(fault, AbsurdFeature)}
    _name_absurd(frame, absurd)
    refused = frame.height - rows.count
    return rows, {"missing_features": refused - len(absurd), "absurd_features": len(absurd)}


def _name_absurd(frame: pl.DataFrame, absurd: dict[int, AbsurdFeature]) -> None:
    """Logs the first few rows with absurd numbers, so that people find the sender."""
    for row in sorted(absurd)[:NAMED_ROWS]:
        request_id, fault = frame["request_request_id"][row], absurd[row]
        log.warning("example left out", request_id=request_id, feature=fault.feature, value=fault.value)
    if len(absurd) > NAMED_ROWS:
        log.warning("more examples left out for absurd features", examples=len(absurd) - NAMED_ROWS)
