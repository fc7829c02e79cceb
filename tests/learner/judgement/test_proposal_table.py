"""A table of proposals is read as it is meant, or refused with what is wrong where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from learner.judgement.proposal_table import Proposals, read_proposals
from learner.judgement.table_policy import TablePolicyError
from tests.box_samples import box_experiment

SPACE = box_experiment().action_space
TABLE: dict[str, list[Any]] = {
    "request_id": ["b", "a", "spare"],
    "repin": [29.0, 10.0, 10.0],
    "p2p": [1.0, 15.5, 2.0],
}
SDS: dict[str, list[Any]] = {"sd.repin": [19.0, 9.5, 19.0], "sd.p2p": [2.9, 2.9, 2.9]}


def read(table: dict[str, list[Any]], directory: Path, ids: tuple[str, ...] = ("a", "b"), **where: str) -> Proposals:
    path = directory / "p.parquet"
    pl.DataFrame(table).write_parquet(path)
    return read_proposals(path, where, list(ids), SPACE)


def test_each_request_gets_its_row_in_units_of_the_box(tmp_path: Path) -> None:
    found = read(TABLE | SDS, tmp_path)
    assert found.mean == pytest.approx(pl.DataFrame({"x": [0.0, 0.1], "y": [0.5, 0.0]}).to_numpy())
    assert found.sd == pytest.approx(pl.DataFrame({"x": [0.05, 0.1], "y": [0.1, 0.1]}).to_numpy())
    assert read(TABLE, tmp_path).sd is None


def test_one_row_without_ids_holds_for_all(tmp_path: Path) -> None:
    assert read({"repin": [105.0], "p2p": [15.5]}, tmp_path, ("a", "b", "c")).mean.tolist() == [[0.5, 0.5]] * 3
    both: dict[str, list[Any]] = {"arm": ["x", "y"], "repin": [105.0, 10.0], "p2p": [15.5, 1.0]}
    assert read(both, tmp_path, arm="y").mean[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"p2p": None}, "columns are missing: p2p"),
        ({"sd.repin": [1.0, 1.0, 1.0]}, "the standard deviations are sd.repin"),
        (SDS | {"sd.clicks": [1.0, 1.0, 1.0]}, "the standard deviations are"),
        ({"repin_sd": [19.0, 9.5, 19.0], "p2p_sd": [2.9, 2.9, 2.9]}, "no weight has the columns"),
        ({"request_id": ["a", "a", "b"]}, "request 'a' occurs twice"),
        ({"request_id": ["a", "x", "y"]}, "1 of 2 evaluated requests have no proposal"),
        ({"request_id": None}, "3 rows without a column request_id"),
        ({"repin": [29.0, 201.0, 0.0]}, "repin = 201.0 of request 'a' is outside the weight's bounds"),
        ({"repin": [29.0, None, 0.0]}, "repin = None of request 'a' is empty or not a finite number"),
        ({"repin": [float("nan"), 20.0, 0.0]}, "repin = nan of request 'b' is empty or not a finite number"),
        ({"repin": ["much", "20", "3"]}, "a proposal is not a number"),
        (SDS | {"sd.p2p": [0.0, 1.0, 1.0]}, r"sd.p2p = 0.0 of request 'b' is not between 1e-06 and 1000"),
    ],
)
def test_a_table_that_is_no_policy_is_refused(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    table: dict[str, list[Any]] = {name: values for name, values in (TABLE | change).items() if values is not None}
    with pytest.raises(TablePolicyError, match=says):
        read(table, tmp_path)


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.parquet").write_text("no")
    with pytest.raises(TablePolicyError, match="cannot be read as Parquet"):
        read_proposals(tmp_path / "p.parquet", {}, ["a"], SPACE)
