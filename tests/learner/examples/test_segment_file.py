"""A segment is what was written, or an error that names it: generated damage, one clear error, no traceback."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learner.examples.example_columns import shipped_columns
from learner.examples.learner_errors import StoreDamaged
from learner.examples.segment_file import KEY, file_hash, hashed, read_segment
from learner.examples.segment_manifest import SegmentManifest
from learner.examples.segment_reading import read_segments
from learner.examples.segment_store import SegmentStore
from tests.learner.segment_samples import (
    DAMAGES,
    FOREVER,
    ROWS,
    SEGMENTS,
    TOPIC,
    as_version_0_1_0,
    cut_rows,
    filled,
    lack_column,
    lack_values,
    retype,
)

UNSEEN_WITHOUT_HASHES = {"flip", "zero", "blot", "append", "other_rows"}
"""Damage that cannot be noticed in a segment of version 0.1.0 as long as the file stays readable."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sound")
    filled(directory)
    return directory


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("copies")


def manifest_of(directory: Path) -> SegmentManifest:
    manifest = SegmentManifest.load(directory)
    assert manifest is not None
    return manifest


DAMAGE = {
    "name": st.sampled_from(sorted(DAMAGES)),
    "segment": st.integers(0, SEGMENTS - 1),
    "share": st.floats(0, 1, exclude_max=True),
}


@settings(max_examples=60, deadline=None)
@given(**DAMAGE)
def test_every_reader_refuses_every_damage(sound: Path, copies: Path, name: str, segment: int, share: float) -> None:
    directory = damaged(sound, copies, name, segment, share)
    before = contents(directory)
    for read in (read_segments, lambda place: SegmentStore(place, TOPIC, FOREVER)):
        with pytest.raises(StoreDamaged, match=r"segment .*\.parquet is damaged: ") as refused:
            read(directory)
        assert "--reread" in refused.value.fix
        assert "\n" not in refused.value.what
    assert contents(directory) == before, "nothing is deleted"


@settings(max_examples=60, deadline=None)
@given(**DAMAGE)
def test_files_of_an_older_version_are_refused_or_give_every_row(
    sound: Path, copies: Path, name: str, segment: int, share: float
) -> None:
    """Without hashes, damage shows in what can be read: all columns, how many rows there are, when they happened."""
    directory = damaged(sound, copies, name, segment, share)
    as_version_0_1_0(directory)
    try:
        with SegmentStore(directory, TOPIC, FOREVER) as store:
            assert name in UNSEEN_WITHOUT_HASHES
            assert store.rows == read_segments(directory).height == SEGMENTS * ROWS
            assert shipped_columns().misshapen(read_segments(directory)) == ""
    except StoreDamaged as fault:
        assert ".parquet" in fault.what


def test_a_column_that_nobody_asked_for_counts_too(sound: Path, copies: Path) -> None:
    """The key can be read, and a column that a run needs cannot: no reader of any columns believes the file."""
    for number, damage in enumerate((lack_column, lack_values, retype)):
        directory = copies / f"column-{number}"
        shutil.copytree(sound, directory)
        as_version_0_1_0(directory)
        [segment, *_] = manifest_of(directory).segments
        damage(directory / segment.name, 0.6)
        for columns in (KEY, None):
            with pytest.raises(StoreDamaged, match=r"00000000\.parquet is damaged: it"):
                read_segment(directory, segment, columns)
        with pytest.raises(StoreDamaged):
            hashed(directory, segment)


def damaged(sound: Path, copies: Path, name: str, segment: int, share: float) -> Path:
    directory = copies / "damaged"
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(sound, directory)
    DAMAGES[name](sorted(directory.glob("*.parquet"))[segment], share)
    return directory


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_a_sound_segment_is_read_whole_or_in_columns(sound: Path) -> None:
    [segment, *_] = manifest_of(sound).segments
    assert segment.sha256 == file_hash(sound / segment.name)
    assert read_segment(sound, segment).height == ROWS
    assert read_segment(sound, segment, KEY).columns == KEY


def test_a_segment_without_a_hash_is_taken_over_with_its_rows_checked(sound: Path, copies: Path) -> None:
    directory = copies / "old"
    shutil.copytree(sound, directory)
    as_version_0_1_0(directory)
    [segment, other, _] = manifest_of(directory).segments
    assert hashed(directory, segment) == manifest_of(sound).segments[0]
    cut_rows(directory / segment.name, 0.5)
    with pytest.raises(StoreDamaged, match="20 rows, but 40 were committed"):
        hashed(directory, segment)
    shutil.copy(sound / other.name, directory / segment.name)
    with pytest.raises(StoreDamaged, match="have other times"):
        hashed(directory, segment)
