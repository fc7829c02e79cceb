"""Policies from files, and every way a file can be wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from event_schemas.action_space import ActionSpace, catalogue_action_space
from learner.judgement.table_policy import TableLayout, TablePolicyError, read_table, table_policy

SPACE: ActionSpace = catalogue_action_space("7", ["f"], {"7": [1.0], "9": [2.0]})
LAYOUT = TableLayout(position_column="position", position_base=1, where={"campaign": "all"})
COLUMNS = {
    "campaign": ["all"] * 4 + ["men"],
    "item_id": [7, 9, 7, 9, 7],
    "position": [0, 0, 1, 1, 0],
    "probability": [0.25, 0.75, 1.0, 0.0, 1.0],
}


def write(path: Path, **changes: Any) -> Path:
    file = path / "policy.parquet"
    pl.DataFrame(COLUMNS | changes).write_parquet(file)
    return file


def test_the_table_is_arms_by_positions(tmp_path: Path) -> None:
    table = read_table(write(tmp_path), LAYOUT, SPACE)
    np.testing.assert_array_equal(table, [[0.25, 1.0], [0.75, 0.0]])


def test_a_policy_without_positions(tmp_path: Path, world: Any) -> None:
    file = tmp_path / "p.parquet"
    pl.DataFrame({"item_id": ["9"], "probability": [1.0]}).write_parquet(file)
    layout = TableLayout()
    table = read_table(file, layout, SPACE)
    policy = table_policy("p", table, world.rows(world.examples(3)), layout)
    assert policy.probabilities is not None
    assert np.asarray(policy.probabilities).tolist() == [[0.0, 1.0]] * 3


@pytest.mark.parametrize(
    ("changes", "layout", "problem"),
    [
        ({"probability": [0.2, 0.7, 1.0, 0.0, 1.0]}, LAYOUT, "sum to 0.9"),
        ({"probability": [-0.25, 1.25, 1.0, 0.0, 1.0]}, LAYOUT, "sum to"),
        ({"item_id": [7, 8, 7, 9, 7]}, LAYOUT, "no arms 8; its arms are 7, 9"),
        ({"position": [0, 0, -1, 1, 0]}, LAYOUT, "negative"),
        ({"position": [0, 0, 10**15, 1, 0]}, LAYOUT, "position 1000000000000000 in a file of"),
        ({"position": [0, 0, None, 1, 0]}, LAYOUT, "'position' has 1 empty"),
        ({"probability": ["a", "b", "1", "0", "1"]}, LAYOUT, "'probability'"),
        ({"probability": [None, 0.75, 1.0, 0.0, 1.0]}, LAYOUT, "'probability' has 1 empty"),
        ({"item_id": [7, None, 7, 9, 7]}, LAYOUT, "'item_id' has 1 empty"),
        ({}, TableLayout(position_column="position"), "occurs twice"),
        ({}, TableLayout(where={"campaign": "women"}), "no row matches campaign=women"),
        ({}, TableLayout(arm_column="arm"), "columns are missing: arm; it has"),
    ],
)
def test_an_unusable_file_is_named(tmp_path: Path, changes: dict[str, Any], layout: TableLayout, problem: str) -> None:
    file = write(tmp_path, **changes)
    with pytest.raises(TablePolicyError, match=problem) as caught:
        read_table(file, layout, SPACE)
    assert caught.value.fix


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TablePolicyError, match="cannot be read"):
        read_table(tmp_path / "none.parquet", LAYOUT, SPACE)


def test_positions_are_mapped_as_stated(world: Any) -> None:
    examples = world.examples(2)
    for example, position in zip(examples, ("1", "2"), strict=True):
        example["request"]["context"].append({"name": "position", "value": position})
    table = np.array([[0.25, 1.0], [0.75, 0.0]])
    policy = table_policy("p", table, world.rows(examples), LAYOUT)
    assert policy.probabilities is not None
    assert np.asarray(policy.probabilities).tolist() == [[0.25, 0.75], [1.0, 0.0]]
    with pytest.raises(TablePolicyError, match="from 1 to 2; the table with base 0"):
        table_policy("p", table, world.rows(examples), TableLayout(position_column="position", position_base=0))


def test_a_log_without_usable_positions(world: Any) -> None:
    table = np.array([[0.5], [0.5]])
    examples = world.examples(2)
    with pytest.raises(TablePolicyError, match="absent from 2 of 2 rows"):
        table_policy("p", table, world.rows(examples), LAYOUT)
    examples[0]["request"]["context"].append({"name": "position", "value": "left"})
    with pytest.raises(TablePolicyError, match="not a whole number"):
        table_policy("p", table, world.rows(examples), LAYOUT)


def test_only_eligible_arms_are_played_and_renormalised(world: Any) -> None:
    examples = world.examples(3)
    examples[1]["action"]["eligible"] = [0, 2]
    rows = world.rows(examples)
    table = np.zeros((10, 1))
    table[:3, 0] = [0.5, 0.4, 0.1]
    policy = table_policy("p", table, rows, TableLayout())
    np.testing.assert_allclose(policy.probability_of(np.array([0, 0, 1])), [0.5, 5 / 6, 0.4])
    examples[2]["action"]["eligible"] = [7]
    with pytest.raises(TablePolicyError, match="every arm that request 'r000002' allowed has probability 0"):
        table_policy("p", table, world.rows(examples), TableLayout())
