"""The commit protocol: a kill at any step neither loses nor doubles."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from learner.learner_errors import StoreMismatch
from learner.segment_store import MERGE_AT, AppendCounts, SegmentStore, read_segments

FOREVER = 10**15
ROOT = Path(__file__).parents[2]


def rows(first: int, count: int, mark: str = "") -> pl.DataFrame:
    ids = [f"r{i}" for i in range(first, first + count)]
    return pl.DataFrame(
        {"request_request_id": ids, "request_event_time": range(first, first + count), "mark": [mark] * count}
    )


def open_store(directory: Path, retention: int = FOREVER) -> SegmentStore:
    return SegmentStore(directory, "t", retention)


def test_rows_and_offsets_are_there_after_reopening(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        assert store.append(rows(0, 10), {0: 10}) == AppendCounts(stored=10)
        store.append(rows(10, 5), {1: 5})
    with open_store(tmp_path) as store:
        assert dict(store.next_offsets) == {0: 10, 1: 5}
        assert store.rows == 15
        assert store.frame()["request_event_time"].to_list() == list(range(15))


def test_the_first_copy_of_a_request_wins(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        doubled = pl.concat([rows(0, 3, "first"), rows(1, 1, "second")])
        assert store.append(doubled, {0: 4}) == AppendCounts(stored=3, duplicate=1)
    with open_store(tmp_path) as store:
        assert store.append(rows(2, 2, "third"), {0: 6}) == AppendCounts(stored=1, duplicate=1)
        assert store.frame()["mark"].to_list() == ["first"] * 3 + ["third"]


def test_offsets_advance_without_rows(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.append(pl.DataFrame(), {0: 3})
    assert dict(open_store(tmp_path).next_offsets) == {0: 3}


def test_retention_drops_old_segments_and_refuses_old_rows(tmp_path: Path) -> None:
    with open_store(tmp_path, retention=50) as store:
        store.append(rows(0, 10), {0: 10})
        store.append(rows(100, 10), {0: 20})
        assert store.frame()["request_event_time"].min() == 100
        assert store.append(rows(0, 3), {0: 23}) == AppendCounts(expired=3)
    assert len(list(tmp_path.glob("*.parquet"))) == 1


def test_many_small_segments_are_merged(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for i in range(MERGE_AT + 1):
            store.append(rows(i, 1), {0: i + 1})
        assert len(list(tmp_path.glob("*.parquet"))) == 1
        assert store.frame()["request_event_time"].to_list() == list(range(MERGE_AT + 1))


def test_two_writers_and_another_topic_are_refused(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.append(rows(0, 1), {0: 1})
        with pytest.raises(StoreMismatch, match="another process"):
            open_store(tmp_path)
    with pytest.raises(StoreMismatch, match="'t', not 'other'"):
        SegmentStore(tmp_path, "other", FOREVER)
    open_store(tmp_path).close()


def test_reading_an_empty_directory_gives_no_rows(tmp_path: Path) -> None:
    assert read_segments(tmp_path).height == 0


def test_reading_without_its_segment_is_an_error(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.append(rows(0, 1), {0: 1})
    next(tmp_path.glob("*.parquet")).unlink()
    with pytest.raises(StoreMismatch, match="missing"):
        read_segments(tmp_path)


def test_keys_are_forgotten_with_their_segments(tmp_path: Path) -> None:
    with open_store(tmp_path, retention=10) as store:
        store.append(rows(0, 5), {0: 5})
        store.append(rows(100, 5), {0: 10})
        assert store._keys == {f"r{i}" for i in range(100, 105)}
        assert store.append(rows(0, 1), {0: 11}) == AppendCounts(expired=1)


def test_segments_of_an_older_schema_are_read_and_merged(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for at in range(MERGE_AT + 1):
            store.append(rows(at, 1), {0: at + 1})
        newer = rows(MERGE_AT + 1, 1).with_columns(added=pl.lit("new"))
        store.append(newer, {0: MERGE_AT + 2})
        assert store.frame()["added"].to_list() == [None] * (MERGE_AT + 1) + ["new"]
        for at in range(MERGE_AT + 2, 2 * MERGE_AT + 4):
            store.append(rows(at, 1), {0: at + 1})
        assert store.rows == store.frame().height == 2 * MERGE_AT + 4


CRASHING = """
import os, signal, sys
from pathlib import Path
import polars as pl
from learner.segment_store import SegmentStore
def die(step):
    if step == int(sys.argv[2]): os.kill(os.getpid(), signal.SIGKILL)
store = SegmentStore(Path(sys.argv[1]), "t", 10**15, die)
ids = [f"r{i}" for i in range(5, 12)]
store.append(pl.DataFrame({"request_request_id": ids, "request_event_time": range(5, 12), "mark": [""] * 7}), {0: 12})
"""


@pytest.mark.parametrize(("step", "committed"), [(1, False), (2, False), (3, True), (4, True)])
def test_kill_after_any_step(tmp_path: Path, step: int, committed: bool) -> None:
    with open_store(tmp_path) as store:
        store.append(rows(0, 8), {0: 8})
    crashed = subprocess.run([sys.executable, "-c", CRASHING, str(tmp_path), str(step)], cwd=ROOT, check=False)
    assert crashed.returncode == -signal.SIGKILL
    with open_store(tmp_path) as store:
        assert dict(store.next_offsets) == {0: 12 if committed else 8}
        store.append(rows(5, 7), {0: 12})  # what the log gives again from there, or a second copy
        assert store.frame()["request_event_time"].sort().to_list() == list(range(12))
        assert dict(store.next_offsets) == {0: 12}
    named = {path.name for path in tmp_path.glob("*.parquet*")}
    assert not [name for name in named if name.endswith(".tmp")]


def test_the_hook_sees_the_steps_in_order(tmp_path: Path) -> None:
    steps: list[int] = []
    hook: Callable[[int], None] = steps.append
    with SegmentStore(tmp_path, "t", FOREVER, hook) as store:
        store.append(rows(0, 1), {0: 1})
    assert steps == [1, 2, 3, 4]
