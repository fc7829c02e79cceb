"""A policy over a box from a file: a table of proposals, one row for each request.

Columns: `request_id`, one for each weight with its mean in the weight's own units, and one `sd.<weight>` for each if
the policy is a distribution. Without `request_id` the table has one row, which holds for every request.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from event_schemas.action_space import ActionSpace
from event_schemas.shown_text import listed, shown
from event_schemas.truncated_normal import LEAST_SD, MOST_SD
from learner.judgement.table_policy import TablePolicyError, selected_rows

REQUEST_ID = "request_id"
SD = "sd."
"""Begins the name of a column with standard deviations."""


@dataclass(frozen=True, eq=False)
class Proposals:
    """`mean` float64[n, W] and, for a distribution, `sd` float64[n, W], both normalised; `sd` is None without one."""

    mean: NDArray[np.float64]
    sd: NDArray[np.float64] | None


def read_proposals(path: Path, where: Mapping[str, str], request_ids: list[str], space: ActionSpace) -> Proposals:
    """The proposals for these requests, in their order.

    Raises TablePolicyError for an unreadable file, a missing or unknown column, a request without a proposal or with
    two, a mean outside the bounds, or an sd that no distribution has.
    """
    frame = _of_requests(selected_rows(path, list(space.weight_names), where), request_ids, path)
    sides, names = space.high - space.low, space.weight_names
    given = [name for name in frame.columns if name.startswith(SD)]
    wanted = [f"{SD}{name}" for name in names]
    if given and sorted(given) != sorted(wanted):
        raise TablePolicyError(
            f"{path}: the standard deviations are {', '.join(given)}", fix=f"give {', '.join(wanted)}, or none of them"
        )
    if unknown := [name for name in frame.columns if name not in {REQUEST_ID, *names, *wanted, *where}]:
        raise TablePolicyError(
            f"{path}: no weight has the columns {listed(unknown, 3)}",
            fix=f"leave them out, or name standard deviations {', '.join(wanted)}",
        )
    mean = space.normalised(_numbers(frame, list(names), path))
    _require(path, frame, names, (mean >= 0.0) & (mean <= 1.0), "is outside the weight's bounds")
    if not given:
        return Proposals(mean, None)
    sd = _numbers(frame, wanted, path) / sides
    sound = (sd >= LEAST_SD) & (sd <= MOST_SD)
    _require(path, frame, wanted, sound, f"is not between {LEAST_SD:g} and {MOST_SD:g} of high - low")
    return Proposals(mean, sd)


def _of_requests(frame: pl.DataFrame, request_ids: list[str], path: Path) -> pl.DataFrame:
    """The table's row for each request."""
    if REQUEST_ID not in frame.columns:
        if frame.height != 1:
            raise TablePolicyError(
                f"{path}: {frame.height} rows without a column {REQUEST_ID}",
                fix=f"name each row's request in {REQUEST_ID}, or give one row for all requests",
            )
        return frame[np.zeros(len(request_ids), dtype=np.int64)]
    table = frame.with_columns(pl.col(REQUEST_ID).cast(pl.String))
    twice = table.filter(pl.col(REQUEST_ID).is_duplicated())
    if twice.height:
        raise TablePolicyError(f"{path}: request {shown(str(twice[REQUEST_ID][0]))} occurs twice", fix="give it once")
    asked = pl.DataFrame({REQUEST_ID: pl.Series(request_ids, dtype=pl.String)})
    absent = asked.join(table, on=REQUEST_ID, how="anti")
    if absent.height:
        raise TablePolicyError(
            f"{path}: {absent.height} of {len(request_ids)} evaluated requests have no proposal:"
            f" {listed(absent[REQUEST_ID].to_list(), 3)}",
            fix="propose weights for every explored request of the evaluated rows",
        )
    return asked.join(table, on=REQUEST_ID, how="left", maintain_order="left")


def _numbers(frame: pl.DataFrame, columns: list[str], path: Path) -> NDArray[np.float64]:
    """float64[n, columns]."""
    try:
        numbers = frame.select(pl.col(columns).cast(pl.Float64)).to_numpy().astype(np.float64)
    except pl.exceptions.PolarsError as fault:
        raise TablePolicyError(f"{path}: a proposal is not a number: {fault}", fix="fix the file's values") from fault
    _require(path, frame, columns, np.isfinite(numbers), "is empty or not a finite number")
    return numbers


def _require(
    path: Path, frame: pl.DataFrame, columns: tuple[str, ...] | list[str], sound: NDArray[np.bool_], trouble: str
) -> None:
    unsound = np.argwhere(~sound)
    if len(unsound):
        row, column = unsound[0].tolist()
        where = f" of request {shown(str(frame[REQUEST_ID][row]))}" if REQUEST_ID in frame.columns else ""
        raise TablePolicyError(
            f"{path}: {columns[column]} = {frame[columns[column]][row]}{where} {trouble}",
            fix="give means and standard deviations in each weight's own units",
        )
