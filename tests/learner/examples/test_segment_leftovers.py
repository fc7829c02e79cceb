"""The only copy of a row is never deleted, and left-overs of kills do not accumulate."""

from collections.abc import Callable, Collection
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from learner.examples.segment_file import KEY, parsed, write_segment
from learner.examples.segment_leftovers import UNNAMED, settle_leftovers
from learner.examples.segment_salvage import DAMAGED_FOLDER
from learner.examples.segment_store import SegmentStore
from learner.examples.stored_keys import Key
from tests.learner.segment_samples import FOREVER, TOPIC, rows

SPAN = st.tuples(st.integers(0, 30), st.integers(1, 10))
STEPS = st.lists(st.tuples(st.lists(SPAN, max_size=3), SPAN, st.integers(0, 20)), min_size=1, max_size=3)


def keys_in(folder: Path) -> set[tuple[str, int]]:
    return {key for path in folder.glob("*.parquet*") for key in parsed(path, KEY).rows()}


def span(first: int, count: int) -> set[tuple[str, int]]:
    return {(f"r{at}", at) for at in range(first, first + count)}


def but(stored: set[tuple[str, int]]) -> Callable[[Collection[Key]], set[Key]]:
    """Those of some keys that are not `stored`."""
    return lambda keys: set(keys) - stored


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_every_row_is_stored_or_too_old_or_set_aside(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[list[tuple[int, int]], tuple[int, int], int]]
) -> None:
    """Each step: segments appear that no manifest names, rows are stored in one that it names, and it is opened."""
    directory = tmp_path_factory.mktemp("left")
    named, stored = "", set[tuple[str, int]]()
    for step, (left, here, horizon) in enumerate(steps):
        for number, (first, count) in enumerate(left):
            write_segment(directory, 10 * step + number, rows(first, count))
        named = write_segment(directory, 10 * step + 9, rows(*here)).name
        stored |= span(*here)
        before = keys_in(directory) | keys_in(directory / DAMAGED_FOLDER)
        settle_leftovers(directory, [named], but(stored), horizon)
        kept = keys_in(directory / DAMAGED_FOLDER)
        assert {key for key in before if key[1] >= horizon} <= stored | kept
        assert [path.name for path in directory.glob("*.parquet")] == [named]
    settle_leftovers(directory, [named], but(span(0, 40)), 0)
    assert not (directory / DAMAGED_FOLDER).exists(), "what is stored needs no copy"


def test_repeated_kills_do_not_fill_the_disk(tmp_path: Path) -> None:
    for kill in range(12):
        SegmentStore(tmp_path, TOPIC, FOREVER).close()
        write_segment(tmp_path, 0, rows(0, 5 + kill % 3))  # a process that died between steps 2 and 3
    SegmentStore(tmp_path, TOPIC, FOREVER).close()
    assert len(list((tmp_path / DAMAGED_FOLDER).iterdir())) <= 2
    with SegmentStore(tmp_path, TOPIC, FOREVER) as store:
        store.append(rows(0, 8), {0: 8})
    SegmentStore(tmp_path, TOPIC, FOREVER).close()
    assert not (tmp_path / DAMAGED_FOLDER).exists()


def test_what_cannot_be_read_is_set_aside_and_stays(tmp_path: Path) -> None:
    (tmp_path / "00000007.parquet").write_bytes(b"PAR1")
    (tmp_path / "00000008.parquet").symlink_to("/nonexistent")
    (tmp_path / "00000009.parquet").mkdir()
    (tmp_path / "00000010.parquet.tmp").write_bytes(b"unfinished")
    with capture_logs() as said:
        settle_leftovers(tmp_path, [], but(set()), 0)
    assert len(said) == 3
    settle_leftovers(tmp_path, [], but(set()), 2**62)
    assert {path.name for path in tmp_path.iterdir()} == {DAMAGED_FOLDER}
    names = {f"{UNNAMED}{number:08d}.parquet" for number in (7, 8, 9)}
    assert {path.name for path in (tmp_path / DAMAGED_FOLDER).iterdir()} == names


def test_what_was_set_aside_for_another_reason_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / DAMAGED_FOLDER).mkdir()
    write_segment(tmp_path / DAMAGED_FOLDER, 3, rows(0, 5))
    settle_leftovers(tmp_path, [], but(span(0, 5)), 0)
    assert (tmp_path / DAMAGED_FOLDER / "00000003.parquet").exists()
