"""What an outcome is counted for: a request, a session, or a user's day. The join counts per decision; readers sum.

The outcome of a unit is min(Σ counts of its decisions, clip). Because min is not linear, a sum over some of its
decisions says nothing: all of them must be in the log, or none. That is so if the coin `log` is drawn for something
that contains the unit. Then Σ outcome / rate over the logged units is an unbiased estimate of the sum over all units
(Horvitz and Thompson, 1952).
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from event_schemas.experiment_sections import ObjectiveSpec, Per
from event_schemas.exploration import ExplorationSettings
from event_schemas.exploration_units import log_unit_of, unit_of
from event_schemas.slices import Slice, coin
from event_schemas.units import DAY_MS
from event_schemas.user_ids import person
from learner.examples.row_settings import RowSettings

LEFT_OUT = -1
UNIT_COLUMNS = ("request_request_id", "request_user_id", "request_session_id", "request_event_time")


@dataclass(frozen=True, eq=False)
class CountingUnits:
    """The k units of n rows.

    numbers  int64[n]: the unit of each row, from 0 in the order of their first rows; LEFT_OUT for a row of no unit
    rates    float64[k] in (0, 1]: the probability that the unit is in the log, which is 1 over its weight
    """

    numbers: NDArray[np.int64]
    rates: NDArray[np.float64]

    def __len__(self) -> int:
        """The number of units, k."""
        return len(self.rates)

    def outcomes(self, frame: pl.DataFrame, objective: ObjectiveSpec) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """(outcomes float64[k] = min(Σ counts, clip), observed bool[k]) of the units of the same rows.

        A unit is unobserved, with the outcome 0, if the objective is unobserved or missing in any of its rows, or has a
        count that is negative or not finite.
        """
        counts, known = _counts(frame, objective.name)
        kept = self.numbers != LEFT_OUT
        unit = self.numbers[kept]
        observed = np.ones(len(self), dtype=np.bool_)
        observed[unit[~known[kept]]] = False
        sums = np.bincount(unit, weights=counts[kept], minlength=len(self))
        return np.where(observed, np.minimum(sums, objective.clip), 0.0), observed


def counting_units(frame: pl.DataFrame, per: Per, settings: RowSettings) -> CountingUnits:
    """The units of the rows of `frame` (a stored example's columns, see UNIT_COLUMNS, with `settings` of each row).

    request   every row is one.
    session   the session that the request's id names before its last `~`; where the log is sampled by user and the id
              names none, the request's session_id; else the request alone. Sampled by user, requests of one session
              with different users, or with and without one, are different units: each user has a coin.
    user-day  a person and the UTC day of the request's event time. Rows without a user are left out.

    EXPLORE and CONTROL are always logged, so they say nothing of whether the rest of their session or day is. The coin
    `log` is drawn again for them, and they are left out where it would not have logged a POLICY request. Rows are also
    left out if their settings are unknown, or do not keep such units together (they were logged by request, say,
    before the experiment file had a log_unit).
    """
    rates = frame["propensity_sampling_rate"].to_numpy().astype(np.float64)
    if per == "request":
        return CountingUnits(np.arange(frame.height, dtype=np.int64), rates)
    rates, logged = _whole_log(frame, settings, rates)
    columns = (frame[name].to_list() for name in UNIT_COLUMNS)
    rows = zip(*columns, (settings.settings[group] for group in settings.group.tolist()), strict=True)
    names = _sessions(rows) if per == "session" else _user_days(rows)
    kept = (logged & ~settings.lost).tolist()
    place: dict[Hashable, int] = {}
    numbers = np.array(
        [
            LEFT_OUT if name is None or not whole else place.setdefault(name, len(place))
            for name, whole in zip(names, kept, strict=True)
        ],
        dtype=np.int64,
    )
    of_unit = np.ones(len(place))
    rows_of_units = numbers != LEFT_OUT
    np.minimum.at(of_unit, numbers[rows_of_units], rates[rows_of_units])
    return CountingUnits(numbers, of_unit)


Row = tuple[str, str | None, str | None, int, ExplorationSettings]
"""request_id, user_id, session_id, event time (ms), and the settings of one row."""


def _sessions(rows: Iterable[Row]) -> list[Hashable]:
    return [_session(*row) for row in rows]


def _session(
    request_id: str, user_id: str | None, session_id: str | None, _: int, settings: ExplorationSettings
) -> Hashable:
    """What tells the session from others; None if its requests are not kept together in the log."""
    if settings.sampled_by == "request":
        return None
    if settings.sampled_by == "session":
        return unit_of(request_id, "session")
    user = person(user_id)
    if user is None:
        return unit_of(request_id, settings.unit), None
    named = unit_of(request_id, "session")
    return (person(session_id) if named == request_id else named) or request_id, user


def _user_days(rows: Iterable[Row]) -> list[Hashable]:
    return [
        None if settings.sampled_by != "user" or (user := person(user_id)) is None else (user, event_time // DAY_MS)
        for _, user_id, _, event_time, settings in rows
    ]


def _whole_log(
    frame: pl.DataFrame, settings: RowSettings, rates: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(rate of the coin `log` float64[n], whether that coin logs the row bool[n]): for every slice as for POLICY."""
    always = frame["action_slice"].is_in([Slice.EXPLORE.value, Slice.CONTROL.value]).to_numpy()
    logged = np.ones(frame.height, dtype=np.bool_)
    rates = rates.copy()
    for row in np.flatnonzero(always).tolist():
        each = settings.settings[settings.group[row]]
        unit = log_unit_of(frame["request_request_id"][row], frame["request_user_id"][row], each.sampled_by, each.unit)
        rates[row] = each.log_rate
        logged[row] = coin(each.salt, "log", unit) < each.log_rate
    return rates, logged


def _counts(frame: pl.DataFrame, objective: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(counts float64[n], 0 where unknown; known bool[n]) of one objective."""
    counts, known = np.zeros(frame.height), np.zeros(frame.height, dtype=np.bool_)
    found = frame.select("outcome_objectives").with_row_index("row").explode("outcome_objectives")
    found = found.drop_nulls("outcome_objectives").unnest("outcome_objectives")
    found = found.filter((pl.col("objective") == objective) & pl.col("observed"))
    values = found["count"].to_numpy()
    sound = np.isfinite(values) & (values >= 0.0)
    rows = found["row"].to_numpy()[sound]
    counts[rows], known[rows] = values[sound], True
    return counts, known
