"""The list of forgotten users: no ids in it, nothing counted twice, damage named."""

from pathlib import Path

import polars as pl
import pytest

from learner.examples.forgotten_users import FORGOTTEN_FILE, ForgottenUsers, forgotten_counts, forgotten_decisions
from learner.examples.learner_errors import StoreDamaged, StoreUnwritable
from learner.examples.slice_tallies import ArmDay, SpanDay
from learner.examples.stored_counts import ForgottenCounts
from tests.learner.segment_samples import TOPIC, of_user, rows

DAY_MS = 86_400_000


def users(directory: Path) -> ForgottenUsers:
    return ForgottenUsers(directory, TOPIC)


def test_rows_up_to_the_time_are_the_users_and_later_ones_are_not(tmp_path: Path) -> None:
    frame = pl.concat([of_user("ann", rows(0, 3)), of_user("bob", rows(3, 1)), of_user(None, rows(4, 1))])
    assert not users(tmp_path).among(frame).any()
    users(tmp_path).add("ann", 1)
    assert users(tmp_path).among(frame).to_list() == [True, True, False, False, False]
    users(tmp_path).add("ann", 0)  # asking again with an earlier time brings nothing back
    assert users(tmp_path).among(frame).to_list() == [True, True, False, False, False]
    assert b"ann" not in (tmp_path / FORGOTTEN_FILE).read_bytes()
    assert not ForgottenUsers(tmp_path, "another topic").among(frame).any()
    assert not users(tmp_path).among(frame.drop("request_user_id")).any()


def test_it_is_pending_until_it_is_settled(tmp_path: Path) -> None:
    assert not users(tmp_path).pending
    users(tmp_path).add("ann", 5)
    assert users(tmp_path).pending
    users(tmp_path).mark_carried_out()
    assert not users(tmp_path).pending
    users(tmp_path).add("ann", 9)
    assert users(tmp_path).pending


def test_each_decision_is_counted_once_and_leaves_with_its_day(tmp_path: Path) -> None:
    frame = rows(0, 3).with_columns(
        pl.Series("request_event_time", [0, DAY_MS, DAY_MS + 1]),
        pl.Series("action_slice", ["EXPLORE", "EXPLORE", "POLICY"]),
        pl.Series("propensity_exploration", [None, "d", "d"], dtype=pl.String),
    )
    assert forgotten_counts(tmp_path) == ForgottenCounts()
    for _ in range(2):
        users(tmp_path).add_decisions(frame)
    users(tmp_path).add_decisions(frame[:0])
    first = {ArmDay(0, "EXPLORE", 1): 1}
    second = {ArmDay(1, "EXPLORE", 1): 1, ArmDay(1, "POLICY", 1): 1}
    assert forgotten_counts(tmp_path) == ForgottenCounts({**first, **second}, {SpanDay("d", 1): 1})
    explored = forgotten_decisions(tmp_path)
    assert (explored.numbers.tolist(), explored.times.tolist()) == ([1, 2], [0, DAY_MS])
    assert explored.last >= 3, "also the decision of another slice has a number"
    assert explored.list_id is not None and explored.list_id == forgotten_decisions(tmp_path).list_id
    users(tmp_path).expire(DAY_MS + 5)
    assert forgotten_counts(tmp_path) == ForgottenCounts(second, {SpanDay("d", 1): 1})
    assert forgotten_decisions(tmp_path).times.tolist() == [0, DAY_MS], "a checkpoint that learnt from them may live on"
    users(tmp_path).add_decisions(rows(7, 1).with_columns(pl.lit("EXPLORE").alias("action_slice")), counted=False)
    assert forgotten_counts(tmp_path) == ForgottenCounts(second, {SpanDay("d", 1): 1})
    assert forgotten_decisions(tmp_path).times.tolist() == [0, DAY_MS, 7]


def test_a_damaged_list_is_named_and_never_taken_for_an_empty_one(tmp_path: Path) -> None:
    users(tmp_path).add("ann", 5)
    (tmp_path / FORGOTTEN_FILE).write_bytes(b"SQLite format 3\0" + b"x" * 4096)
    for read in (users, forgotten_counts, forgotten_decisions):
        with pytest.raises(StoreDamaged, match="list of forgotten users, is damaged"):
            read(tmp_path)


def test_a_list_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / FORGOTTEN_FILE).mkdir()
    with pytest.raises((StoreUnwritable, StoreDamaged), match=FORGOTTEN_FILE):
        users(tmp_path).add("ann", 5)


def test_a_folder_may_have_any_name_and_an_empty_file_forgets_nobody(tmp_path: Path) -> None:
    for name in ("a#1", "b%41", "c?x"):
        directory = tmp_path / name
        directory.mkdir()
        (directory / FORGOTTEN_FILE).touch()  # the disk was full
        assert not ForgottenUsers(directory, "events").pending
        assert forgotten_counts(directory) == ForgottenCounts()
        assert forgotten_decisions(directory).last == 0
