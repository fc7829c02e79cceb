"""A forgotten user's rows leave the disk, stay out, and stay counted, whenever the process dies."""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from structlog.testing import capture_logs

from event_schemas.units import DAY_MS
from learner.examples.forgetting import clean_damaged
from learner.examples.forgotten_users import READ, ForgottenUsers, forgotten_counts, forgotten_decisions
from learner.examples.segment_reading import read_segments
from learner.examples.segment_salvage import DAMAGED_FOLDER
from learner.examples.segment_store import AppendCounts, SegmentStore
from tests.learner.dying_appends import Death, dying
from tests.learner.segment_samples import FOREVER, TOPIC, of_user, rows

USER = "ann-of-the-tests"
LOG = pl.concat(
    [of_user(USER, rows(0, 4)), of_user("bob", rows(4, 4)), of_user(USER, rows(8, 2)), of_user(USER, rows(100, 1))]
)
"""Of the user six rows up to time 50 and one after."""


@dataclass(frozen=True, slots=True)
class Forget:
    """The order of a process that forgets the user."""

    directory: Path


def open_store(directory: Path, reread: bool = False) -> SegmentStore:
    return SegmentStore(directory, TOPIC, FOREVER, reread=reread)


def filled(directory: Path) -> None:
    """Three segments: the user's alone, mixed, and of somebody else."""
    with open_store(directory) as store:
        store.append(LOG[:4], {0: 4})
        store.append(LOG[4:], {0: 11})
        store.append(of_user("cid", rows(200, 3)), {0: 14})


def forget(order: Forget, after_step: Callable[[int], None]) -> None:
    with SegmentStore(order.directory, TOPIC, FOREVER, after_step) as store:
        store.forget_user(USER, 50)


def assert_forgotten(directory: Path) -> None:
    left = read_segments(directory)
    assert left["request_event_time"].sort().to_list() == [*range(4, 8), 100, 200, 201, 202]
    assert sum(forgotten_counts(directory).arms.values()) == 6
    for path in directory.glob("*.parquet"):
        old = pl.read_parquet(path).filter(pl.col("request_event_time") <= 50)
        assert USER not in old["request_user_id"].to_list()


def test_the_rows_are_gone_refused_and_counted_once(tmp_path: Path) -> None:
    filled(tmp_path)
    with open_store(tmp_path) as store:
        removed = store.forget_user(USER, 50)
        assert removed.columns == list(READ)
        assert removed["request_event_time"].to_list() == [0, 1, 2, 3, 8, 9]
        assert_forgotten(tmp_path)
        assert store.append(LOG, {0: 20}) == AppendCounts(duplicate=5, forgotten=6)
        assert store.append(of_user(USER, rows(30, 2)), {0: 22}) == AppendCounts(forgotten=2), (
            "from before it was asked"
        )
        assert store.append(of_user(USER, rows(60, 1)), {0: 23}) == AppendCounts(stored=1), "a user who came back"
        assert store.forget_user("nobody-we-know", 50).height == 0
    assert sum(forgotten_counts(tmp_path).arms.values()) == 8
    with open_store(tmp_path, reread=True) as store:
        assert store.append(LOG, {0: 11}) == AppendCounts(duplicate=5, forgotten=6)
    assert sum(forgotten_counts(tmp_path).arms.values()) == 8


def test_a_kill_at_any_step_leaves_what_the_next_opening_completes(tmp_path: Path) -> None:
    filled(tmp_path / "undisturbed")
    code, operations = dying(forget, Forget(tmp_path / "undisturbed"), Death())
    assert code == 0 and operations >= 10
    assert_forgotten(tmp_path / "undisturbed")
    began = 0
    for operation in range(operations - 12, operations + 1):
        directory = tmp_path / str(operation)
        filled(directory)
        assert dying(forget, Forget(directory), Death(operation=operation))[0] == -signal.SIGKILL
        if not ForgottenUsers(directory, TOPIC).among(LOG).any():
            continue  # it died before it was asked
        began += 1
        with open_store(directory) as store:
            assert_forgotten(directory)
            assert store.rows == 8
        assert forgotten_decisions(directory).last >= 6
        open_store(directory).close()
        assert not (directory / DAMAGED_FOLDER).exists()
    assert began >= 8


def test_rows_older_than_the_horizon_are_still_known_when_it_is_asked_again(tmp_path: Path) -> None:
    """They lie in a segment that a newer row keeps."""
    explored = pl.concat([of_user(USER, rows(0, 3)), of_user("bob", rows(4 * DAY_MS, 1))]).with_columns(
        pl.lit("EXPLORE").alias("action_slice")
    )
    with SegmentStore(tmp_path, TOPIC, 5 * DAY_MS) as store:
        store.append(explored, {0: 4})
        store.append(of_user("cid", rows(8 * DAY_MS, 1)), {0: 5})
    for _ in range(2):
        with SegmentStore(tmp_path, TOPIC, 5 * DAY_MS) as store:
            store.forget_user(USER, 50)
        assert forgotten_decisions(tmp_path).times.tolist() == [0, 1, 2]
        assert forgotten_counts(tmp_path).arms == {}


def test_files_set_aside_lose_the_rows_too(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / DAMAGED_FOLDER).mkdir()
    LOG.write_parquet(tmp_path / DAMAGED_FOLDER / "00000007.parquet")
    LOG[:4].write_parquet(tmp_path / DAMAGED_FOLDER / "00000008.parquet.1")
    (tmp_path / DAMAGED_FOLDER / "00000009.parquet").write_bytes(b"PAR1")
    with open_store(tmp_path) as store, capture_logs() as said:
        store.forget_user(USER, 50)
    left = pl.read_parquet(tmp_path / DAMAGED_FOLDER / "00000007.parquet")
    assert left["request_event_time"].to_list() == [4, 5, 6, 7, 100]
    assert not (tmp_path / DAMAGED_FOLDER / "00000008.parquet.1").exists()
    assert forgotten_decisions(tmp_path).last >= 6
    [warning] = [line for line in said if line["log_level"] == "warning"]
    assert warning["file"] == "00000009.parquet"
    assert_forgotten(tmp_path)


def test_a_store_of_nothing_remembers_whom_to_forget(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        assert store.forget_user(USER, 50).height == 0
        assert store.append(LOG, {0: 11}) == AppendCounts(stored=5, forgotten=6)
    assert sum(forgotten_counts(tmp_path).arms.values()) == 6


def test_a_damaged_file_with_other_columns_is_named_and_stays(tmp_path: Path) -> None:
    folder = tmp_path / DAMAGED_FOLDER
    folder.mkdir()
    pl.DataFrame({"request_user_id": ["u"]}).write_parquet(folder / "a.parquet")
    pl.DataFrame({"request_user_id": ["u"], "request_event_time": ["late"]}).write_parquet(folder / "b.parquet")
    with capture_logs() as said:
        clean_damaged(tmp_path, ForgottenUsers(tmp_path, "examples"))
    assert [line["file"] for line in said] == ["a.parquet", "b.parquet"]
    assert len(list(folder.iterdir())) == 2
