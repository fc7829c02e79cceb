"""After damage: intact data stays, the rest is set aside, and the log is read again without duplicating a row."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learner.examples.example_columns import shipped_columns
from learner.examples.learner_errors import StoreMismatch
from learner.examples.segment_file import KEY
from learner.examples.segment_manifest import MANIFEST_NAME, SegmentManifest
from learner.examples.segment_reading import read_segments
from learner.examples.segment_salvage import DAMAGED_FOLDER, sound_part
from learner.examples.segment_store import SegmentStore
from tests.learner.segment_samples import (
    DAMAGES,
    FOREVER,
    ROWS,
    SEGMENTS,
    TOPIC,
    Damage,
    adopted,
    as_version_0_1_0,
    cut_rows,
    filled,
    lack_column,
    lack_values,
    retype,
    rows,
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sound")
    filled(directory)
    return directory


HITS = st.lists(
    st.tuples(st.sampled_from(sorted(DAMAGES)), st.integers(0, SEGMENTS - 1), st.floats(0, 1, exclude_max=True)),
    max_size=3,
    unique_by=lambda hit: hit[1],
)


@settings(max_examples=60, deadline=None)
@given(hits=HITS, manifest=st.sampled_from(["sound", "0.1.0", "adopted", "broken", "gone"]))
def test_whatever_was_damaged_the_log_brings_every_row_once(
    sound: Path, hits: list[tuple[str, int, float]], manifest: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("again") / "examples"
    shutil.copytree(sound, directory)
    for name, segment, share in hits:
        path = directory / f"{segment:08d}.parquet"
        if path.exists():
            DAMAGES[name](path, share)
    untouched = {p.name for p in sound.glob("*.parquet") if p.read_bytes() == content_of(directory / p.name)}
    damage_manifest(directory, manifest)
    with SegmentStore(directory, TOPIC, FOREVER, reread=True) as store:
        assert dict(store.next_offsets) == {}
        if manifest in ("sound", "0.1.0", "adopted"):
            assert untouched <= {path.name for path in directory.glob("*.parquet")}, "nothing sound is lost"
        store.require_topic("second")
        store.adopt_topic("second")
        store.append(rows(0, SEGMENTS * ROWS), {0: SEGMENTS * ROWS})
        frame = read_segments(directory)
        assert shipped_columns().misshapen(frame) == ""
        if manifest in ("0.1.0", "adopted"):  # an altered key that can be read is another decision's
            assert set(rows(0, SEGMENTS * ROWS).select(KEY).rows()) <= set(frame.select(KEY).rows())
        else:
            assert sorted(frame["request_event_time"]) == list(range(SEGMENTS * ROWS))
    with SegmentStore(directory, TOPIC, FOREVER) as store:
        store.require_topic("second")
        assert store.rows == frame.height


def content_of(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def damage_manifest(directory: Path, how: str) -> None:
    path = directory / MANIFEST_NAME
    if how == "0.1.0":
        as_version_0_1_0(directory)
    elif how == "adopted":
        adopted(directory)
    elif how == "broken":
        path.write_bytes(path.read_bytes()[:50])
    elif how == "gone":
        path.unlink()


def test_only_what_is_damaged_is_set_aside(tmp_path: Path) -> None:
    [first, second, third] = filled(tmp_path)
    second.write_bytes(b"PAR1")
    sound_part(tmp_path, TOPIC)
    assert [path.name for path in (tmp_path / DAMAGED_FOLDER).iterdir()] == [second.name]
    assert first.exists() and third.exists()
    manifest = SegmentManifest.load(tmp_path)
    assert manifest is not None
    assert [segment.name for segment in manifest.segments] == [first.name, third.name]
    assert (manifest.next_offsets, manifest.topic_id, manifest.sequence) == ({}, None, SEGMENTS)


@pytest.mark.parametrize("damage", [lack_column, lack_values, retype, cut_rows])
def test_a_segment_adopted_damaged_is_set_aside_though_its_hash_is_right(tmp_path: Path, damage: Damage) -> None:
    [_, second, _] = filled(tmp_path)
    damage(second, 0.5)
    adopted(tmp_path)
    with SegmentStore(tmp_path, TOPIC, FOREVER, reread=True) as store:
        assert store.rows == 2 * ROWS
        store.append(rows(0, SEGMENTS * ROWS), {0: SEGMENTS * ROWS})
        assert read_segments(tmp_path).height == SEGMENTS * ROWS
    assert [path.name for path in (tmp_path / DAMAGED_FOLDER).iterdir()] == [second.name]


def test_a_link_that_leads_nowhere_is_set_aside(tmp_path: Path) -> None:
    [first, *_] = filled(tmp_path)
    first.unlink()
    first.symlink_to("/nonexistent")
    with SegmentStore(tmp_path, TOPIC, FOREVER, reread=True) as store:
        assert store.rows == 2 * ROWS
    assert not os.path.lexists(first)
    assert (tmp_path / DAMAGED_FOLDER / first.name).is_symlink()


def test_files_set_aside_keep_those_that_are_there_already(tmp_path: Path) -> None:
    for content in (b"one", b"two", b"three"):
        (tmp_path / MANIFEST_NAME).write_bytes(content)
        sound_part(tmp_path, TOPIC)
    kept = {path.read_bytes() for path in (tmp_path / DAMAGED_FOLDER).iterdir()}
    assert kept == {b"one", b"two", b"three"}


def test_a_directory_of_another_topic_is_not_touched(tmp_path: Path) -> None:
    [first, *_] = filled(tmp_path)
    first.write_bytes(b"")
    with pytest.raises(StoreMismatch, match="has examples of topic"):
        SegmentStore(tmp_path, "other", FOREVER, reread=True)
    assert first.exists()
    assert not (tmp_path / DAMAGED_FOLDER).exists()
