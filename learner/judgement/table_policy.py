"""A policy from a file: a table of probabilities by arm and, if the choice depends on it, by position.

The table comes from another system (another policy's log, a paper's data set) with its own column names and its own way
to count positions. Both are given explicitly, never guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from event_schemas.action_space import ActionSpace
from event_schemas.errors import TrimtabError
from event_schemas.shown_text import listed, shown
from learner.examples.learning_rows import LearningRows
from off_policy.row_distributions import SharedDistributions
from off_policy.target_policies import ROW_SUM_TOLERANCE, TargetPolicy, by_position

NAMED_ARMS = 5


class TablePolicyError(TrimtabError):
    """The file is not a policy for this experiment."""


@dataclass(frozen=True)
class TableLayout:
    """How to read the file.

    arm_column, probability_column   columns of the file; arms are named as in the experiment
    position_column    column of the file with the position, counted from 0; empty if the policy has no positions
    position_feature   context feature of the log with the position
    position_base      value of that feature for the file's position 0
    where              column = value pairs that select the rows of the file
    """

    arm_column: str = "item_id"
    probability_column: str = "probability"
    position_column: str = ""
    position_feature: str = "position"
    position_base: int = 1
    where: Mapping[str, str] = field(default_factory=dict)


def read_table(path: Path, layout: TableLayout, space: ActionSpace) -> NDArray[np.float64]:
    """float64[arms, positions]; one position if the policy has none.

    An arm without a row has probability 0. Raises TablePolicyError for an unreadable file, a missing column, an unknown
    arm, a duplicate row, or probabilities of a position that do not sum to 1.
    """
    wanted = [layout.arm_column, layout.probability_column, layout.position_column]
    frame = selected_rows(path, [column for column in wanted if column], layout.where)
    positions = _positions(frame, layout, path)
    arms = _arms(frame, layout, space, path)
    table = np.zeros((space.arms, int(positions.max()) + 1))
    if len({*zip(arms.tolist(), positions.tolist(), strict=True)}) != len(arms):
        raise TablePolicyError(
            f"{path}: an arm occurs twice in one position", fix="select one policy's rows with --where"
        )
    table[arms, positions] = _column(frame, layout.probability_column, pl.Float64, path).to_numpy()
    sums = table.sum(axis=0)
    if not np.all(np.abs(sums - 1.0) <= ROW_SUM_TOLERANCE) or bool((table < 0).any()):
        raise TablePolicyError(
            f"{path}: probabilities sum to {', '.join(f'{s:.6g}' for s in sums)} by position",
            fix="give a distribution over the arms for every position, and select one policy's rows with --where",
        )
    return table


def table_policy(name: str, table: NDArray[np.float64], rows: LearningRows, layout: TableLayout) -> TargetPolicy:
    """The table as a policy for `rows`, over the arms that each row allows, renormalised as in serving.

    Raises TablePolicyError if a row's position is absent or not in the table, or if it gives no eligible arm a chance.
    """
    positions, lists = _positions_of(rows, table, layout), rows.eligible_lists
    if lists.all_allowed:
        return by_position(name, table, positions)
    width = table.shape[1]
    group = lists.group * width + positions

    def shares(groups: NDArray[np.int64]) -> NDArray[np.float64]:
        """The table's probabilities of the arms that rows of these groups allow, not yet renormalised."""
        allowed: NDArray[np.float64] = table.T[groups % width] * lists.masks(groups // width, len(table))
        return allowed

    def renormalised(groups: NDArray[np.int64]) -> NDArray[np.float64]:
        allowed = shares(groups)
        found: NDArray[np.float64] = allowed / allowed.sum(axis=1, keepdims=True)
        return found

    offered = SharedDistributions(group, len(table), shares)
    for part in offered.blocks():
        distinct, index = offered.distinct(part)
        without = np.flatnonzero(distinct.sum(axis=1)[index] <= 0.0)
        if len(without):
            request_id = rows.frame["request_request_id"][part.start + int(without[0])]
            raise TablePolicyError(
                f"every arm that request {shown(request_id)} allowed has probability 0",
                fix="give each arm a small probability",
            )
    return TargetPolicy(name, SharedDistributions(group, len(table), renormalised))


def _positions_of(rows: LearningRows, table: NDArray[np.float64], layout: TableLayout) -> NDArray[np.int64]:
    """int64[n]: the column of the table that applies to each row."""
    if not layout.position_column:
        return np.zeros(rows.count, dtype=np.int64)
    logged = rows.context(layout.position_feature)
    try:
        positions = np.array([int(value) for value in logged if value is not None]) - layout.position_base
    except ValueError as fault:
        raise _unplaced(layout, f"is not a whole number: {fault}") from fault
    if len(positions) != rows.count:
        raise _unplaced(layout, f"is absent from {rows.count - len(positions)} of {rows.count} rows")
    if positions.size and (positions.min() < 0 or positions.max() >= table.shape[1]):
        low, high = int(positions.min()) + layout.position_base, int(positions.max()) + layout.position_base
        raise _unplaced(layout, f"runs from {low} to {high}; the table with base {layout.position_base} does not")
    return positions


def _written(where: Mapping[str, str]) -> str:
    """The conditions as they are given on the command line."""
    return " ".join(f"{column}={value}" for column, value in where.items())


def selected_rows(path: Path, columns: Sequence[str], where: Mapping[str, str]) -> pl.DataFrame:
    """The rows of a Parquet file that `where` selects; raises TablePolicyError if it lacks one of the columns."""
    try:
        frame = pl.read_parquet(path)
    except (Exception, pl.exceptions.PanicException) as fault:  # polars reports a broken file by many error types
        raise TablePolicyError(f"{path}: cannot be read as Parquet: {fault}", fix="give an existing file") from fault
    missing = [column for column in (*columns, *where) if column not in frame.columns]
    if missing:
        raise TablePolicyError(
            f"{path}: columns are missing: {', '.join(missing)}; it has {', '.join(frame.columns)}",
            fix="name its columns with the options",
        )
    for column, value in where.items():
        frame = frame.filter(pl.col(column).cast(pl.String) == value)
    if frame.height == 0:
        raise TablePolicyError(f"{path}: no row matches {_written(where)}", fix="correct --where")
    return frame


def _positions(frame: pl.DataFrame, layout: TableLayout, path: Path) -> NDArray[np.int64]:
    if not layout.position_column:
        return np.zeros(frame.height, dtype=np.int64)
    positions = _column(frame, layout.position_column, pl.Int64, path).to_numpy()
    if positions.min() < 0:
        raise TablePolicyError(f"{path}: position {positions.min()} is negative", fix="count positions from 0")
    if positions.max() >= frame.height:
        raise TablePolicyError(
            f"{path}: position {positions.max()} in a file of {frame.height} rows",
            fix="give a distribution over the arms for every position from 0 on",
        )
    return positions


def _arms(frame: pl.DataFrame, layout: TableLayout, space: ActionSpace, path: Path) -> NDArray[np.int64]:
    index = {name: arm for arm, name in enumerate(space.arm_names)}
    names = _column(frame, layout.arm_column, pl.String, path).to_list()
    unknown = sorted({name for name in names if name not in index})
    if unknown:
        raise TablePolicyError(
            f"{path}: the experiment has no arms {listed(unknown, NAMED_ARMS)}; its arms are {listed(space.arm_names)}",
            fix="name the arms as the experiment file does, or select rows with --where",
        )
    return np.array([index[name] for name in names], dtype=np.int64)


def _column(frame: pl.DataFrame, name: str, kind: type[pl.DataType], path: Path) -> pl.Series:
    """The column as `kind`; raises TablePolicyError for an empty cell or one that cannot be converted."""
    try:
        column = frame[name].cast(kind)
    except pl.exceptions.PolarsError as fault:
        raise TablePolicyError(f"{path}: column {name!r}: {fault}", fix="fix the file's values") from fault
    if column.null_count():
        raise TablePolicyError(f"{path}: column {name!r} has {column.null_count()} empty cells", fix="fill them")
    return column


def _unplaced(layout: TableLayout, problem: str) -> TablePolicyError:
    return TablePolicyError(
        f"context feature {layout.position_feature!r} {problem}",
        fix="state how positions are logged with --table feature=NAME,base=NUMBER",
    )
