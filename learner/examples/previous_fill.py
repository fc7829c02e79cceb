"""Fills in, from the stored examples, what users were served before, for requests that do not say it.

A request that was logged with `previous` keeps it: it is what the policy saw. For the others the user's earlier
decisions in the log stand in. The two agree if every decision is logged. With a `log_rate` below 1 the log has holes
where a policy decided or would have, so echoing is exact and filling in is not.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from event_schemas.action_space import ActionSpace
from event_schemas.user_ids import person

PREVIOUS = "request_previous"
PREVIOUS_TYPE = pl.List(pl.Struct({"event_time": pl.Int64, "weights": pl.List(pl.Float64)}))
USER, TIME, ID = "request_user_id", "request_event_time", "request_request_id"
ARM, WEIGHTS, SPACE = "action_arm", "action_weights", "action_action_space"


@dataclass(frozen=True, slots=True)
class PreviousCounts:
    """Rows by where `previous` came from: sent with the request, filled in from the log, or nowhere."""

    echoed: int = 0
    filled: int = 0
    without: int = 0

    def __str__(self) -> str:
        return f"{self.echoed:,} echoed, {self.filled:,} filled in from the log, {self.without:,} without"


def fill_previous(
    rows: pl.DataFrame, log: pl.DataFrame, space: ActionSpace, length: int
) -> tuple[pl.DataFrame, PreviousCounts]:
    """`rows` with `request_previous` filled in where it is empty or absent, and how many rows were.

    The entries are the decisions of the same user and action space in `log`, whatever their slice: at most `length`,
    newest first, and strictly earlier than the row's request: `log` may hold later decisions and the rows themselves.
    An Action may leave its weights out: then they are those of its arm. Placeholders such as `null` are nobody. Of
    decisions with one time, that with the higher request_id is the newer.
    """
    kept = rows if PREVIOUS in rows.columns else rows.with_columns(pl.lit(None).alias(PREVIOUS))
    kept = kept.with_columns(pl.col(PREVIOUS).cast(PREVIOUS_TYPE).fill_null([]))
    echoed = kept[PREVIOUS].list.len().to_numpy() > 0
    lacking = kept.with_row_index("row").filter(pl.Series(~echoed))
    found = _earlier(lacking, _with_weights(log.filter(pl.col(SPACE) == space.digest), space), length)
    joined = kept.with_row_index("row").join(found, on="row", how="left", maintain_order="left")
    filled = joined.with_columns(
        pl.when(pl.col("earlier").is_null()).then(PREVIOUS).otherwise("earlier").alias(PREVIOUS)
    ).drop("row", "earlier")
    counts = PreviousCounts(int(echoed.sum()), found.height, rows.height - int(echoed.sum()) - found.height)
    return filled, counts


def _with_weights(log: pl.DataFrame, space: ActionSpace) -> pl.DataFrame:
    """The decisions with the weights that they served, without vectors of a box that nobody logged."""
    own = pl.Series(space.weights.tolist(), dtype=pl.List(pl.Float64))
    served = log.with_columns(pl.col(WEIGHTS).cast(pl.List(pl.Float64)))
    absent = served[WEIGHTS].list.len().fill_null(0) == 0
    filled = served[WEIGHTS].zip_with(~absent, own.gather(served[ARM]))
    known = ~absent | pl.Series(np.isfinite(space.weights).all(axis=1)).gather(served[ARM])
    return served.with_columns(filled).filter(known)


def _earlier(lacking: pl.DataFrame, log: pl.DataFrame, length: int) -> pl.DataFrame:
    """`row` and `earlier` for the rows of `lacking` whose users have earlier decisions in `log`."""
    users = [user for user in lacking[USER].unique().to_list() if person(user) is not None]
    asked = lacking.select("row", USER, TIME).filter(pl.col(USER).is_in(users))
    served = log.select(USER, TIME, ID, WEIGHTS).filter(pl.col(USER).is_in(users)).sort(USER, TIME, ID)
    first, after = _spans(asked, served)
    counts = np.minimum(after - first, length)
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    newest_first = np.repeat(after, counts) - 1 - (np.arange(counts.sum()) - starts)
    rows = pl.Series("row", np.repeat(asked["row"].to_numpy(), counts), dtype=lacking.schema["row"])
    entry = pl.struct(event_time=TIME, weights=WEIGHTS)
    entries: pl.DataFrame = served[newest_first].select(earlier=entry).with_columns(rows)
    return entries.group_by("row", maintain_order=True).agg("earlier")


def _spans(asked: pl.DataFrame, served: pl.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each row of `asked` the positions in `served` of its user's first decision, and after the last earlier one.

    `served` is ordered by user and time. Sorting both together counts the decisions before each request: a request
    comes before decisions of its own time, which are not earlier.
    """
    both = pl.concat(
        [
            asked.select(USER, TIME, asked=pl.int_range(pl.len(), dtype=pl.Int64), counted=pl.lit(0)),
            served.select(USER, TIME, asked=pl.lit(None, dtype=pl.Int64), counted=pl.lit(1)),
        ]
    ).sort(USER, TIME, "counted")
    after = pl.col("counted").cum_sum().cast(pl.Int64) - pl.col("counted")
    spans = both.with_columns(after=after).with_columns(first=pl.col("after").min().over(USER))
    spans = spans.drop_nulls("asked").sort("asked")
    return spans["first"].to_numpy(), spans["after"].to_numpy()
