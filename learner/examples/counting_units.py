"""What an outcome is counted for: a request, a session, or a user's day. The join counts per decision; readers sum.

The outcome of a unit is min(Σ counts of its decisions, clip). Because min is not linear, a sum over some of its
decisions says nothing: all of them must be in the log, or none. That is so if the coin `log` is drawn for something
that contains the unit. Then Σ outcome / rate over the logged units is an unbiased estimate of the sum over all units
(Horvitz and Thompson, 1952).
"""

import sys
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from event_schemas.experiment_sections import ObjectiveSpec, Per
from event_schemas.exploration_units import SEPARATOR, log_unit_of
from event_schemas.slices import Slice, coin
from event_schemas.units import DAY_MS
from event_schemas.user_ids import PLACEHOLDERS
from learner.examples.row_settings import RowSettings

LEFT_OUT = -1
SPACES = "".join(filter(str.isspace, map(chr, range(sys.maxunicode + 1))))
"""All that `str.strip` takes away; polars itself knows some of them only."""
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

    If the log rate changed within a unit, its requests at the highest rate count, and the others are left out. So it
    has one weight, and what counts of it does not depend on whether the lower rate logged it too.
    """
    rates = frame["propensity_sampling_rate"].to_numpy().astype(np.float64)
    if per == "request":
        return CountingUnits(np.arange(frame.height, dtype=np.int64), rates)
    rates, logged = _whole_log(frame, settings, rates)
    names = _sessions(frame, settings) if per == "session" else _user_days(frame, settings)
    kept = names["together"].to_numpy() & logged & ~settings.lost
    numbers = np.full(frame.height, LEFT_OUT, dtype=np.int64)
    numbers[kept] = _numbered(names.drop("together").filter(kept))
    of_unit = np.zeros(int(numbers.max(initial=LEFT_OUT)) + 1)
    np.maximum.at(of_unit, numbers[kept], rates[kept])
    at_lower_rate = kept.copy()
    at_lower_rate[kept] = rates[kept] < of_unit[numbers[kept]]
    numbers[at_lower_rate] = LEFT_OUT
    return CountingUnits(numbers, of_unit)


def _numbered(names: pl.DataFrame) -> NDArray[np.int64]:
    """int64[n] from 0 in the order of their first rows: equal rows have one number."""
    distinct = names.unique(maintain_order=True).with_row_index("number")
    found = names.join(distinct, on=names.columns, how="left", nulls_equal=True, maintain_order="left")
    return found["number"].to_numpy().astype(np.int64)


def _sessions(frame: pl.DataFrame, settings: RowSettings) -> pl.DataFrame:
    """What tells the session of each row from others, and whether the log has its requests all `together` or none."""
    request_id = pl.col("request_request_id")
    session, user, by_user = _person("request_session_id"), _person("request_user_id"), pl.col("by") == "user"
    prefix = request_id.str.replace(f"{SEPARATOR}[^{SEPARATOR}]*$", "")
    named = pl.when(_names_somebody(prefix)).then(prefix).otherwise(request_id)
    of_user = pl.when(named == request_id).then(session.fill_null(request_id)).otherwise(named)
    of_nobody = pl.when(pl.col("unit") == "session").then(named).otherwise(request_id)
    return _with_draws(frame, settings).select(
        pl.when(by_user & user.is_not_null())
        .then(of_user)
        .when(by_user)
        .then(of_nobody)
        .otherwise(named)
        .alias("name"),
        pl.when(by_user).then(user).alias("user"),
        "by",
        together=pl.col("by") != "request",
    )


def _user_days(frame: pl.DataFrame, settings: RowSettings) -> pl.DataFrame:
    """The same of the day of each row."""
    user = _person("request_user_id")
    return _with_draws(frame, settings).select(
        user.alias("user"),
        (pl.col("request_event_time") // DAY_MS).alias("day"),
        together=user.is_not_null() & (pl.col("by") == "user"),
    )


def _with_draws(frame: pl.DataFrame, settings: RowSettings) -> pl.DataFrame:
    """The rows with the unit of the coin `log` (`by`), and that of exploration (`unit`)."""
    by = pl.Series("by", [each.sampled_by for each in settings.settings], dtype=pl.String)
    unit = pl.Series("unit", [each.unit for each in settings.settings], dtype=pl.String)
    return frame.select(UNIT_COLUMNS).with_columns(by.gather(settings.group), unit.gather(settings.group))


def _person(column: str) -> pl.Expr:
    """The id in this column, or null if it names nobody, as `user_ids.person`."""
    return pl.when(_names_somebody(pl.col(column))).then(pl.col(column))


def _names_somebody(text: pl.Expr) -> pl.Expr:
    return ~text.str.strip_chars(SPACES).str.to_lowercase().is_in(list(PLACEHOLDERS))


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
