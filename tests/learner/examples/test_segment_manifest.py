"""The manifest file."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from learner.examples.learner_errors import StoreDamaged, StoreMismatch
from learner.examples.segment_manifest import MANIFEST_NAME, Segment, SegmentManifest

SEGMENTS = (
    Segment("00000000.parquet", 10, 100, 200, "ab" * 32),
    Segment("00000001.parquet", 5, 150, 300, "cd" * 32),
)


def test_round_trip(tmp_path: Path) -> None:
    manifest = SegmentManifest("t", {0: 7, 3: 9}, SEGMENTS, newest_closed=300, sequence=2, topic_id="abc")
    manifest.save(tmp_path)
    assert SegmentManifest.load(tmp_path) == manifest
    assert manifest.rows == 15


def test_an_empty_directory_has_none(tmp_path: Path) -> None:
    assert SegmentManifest.load(tmp_path) is None


def test_segments_retire_when_every_row_is_old() -> None:
    manifest = SegmentManifest("t", {}, SEGMENTS)
    assert manifest.retired(200).segments == SEGMENTS
    assert manifest.retired(201).segments == SEGMENTS[1:]


@pytest.mark.parametrize("content", [b"", b"{}", b'{"format": 0}', b'{"format": 1, "topic": "t"}', b"[]", b"[" * 99999])
def test_an_unreadable_manifest_says_how_to_fix_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MANIFEST_NAME).write_bytes(content)
    with pytest.raises(StoreDamaged, match="unreadable") as refused:
        SegmentManifest.load(tmp_path)
    assert "--reread" in refused.value.fix


def test_a_manifest_of_a_newer_version_is_not_called_damaged(tmp_path: Path) -> None:
    (tmp_path / MANIFEST_NAME).write_text('{"format": 3}')
    with pytest.raises(StoreMismatch, match="format 3"):
        SegmentManifest.load(tmp_path)


def test_what_version_0_1_0_wrote_is_read(tmp_path: Path) -> None:
    segments = [{"name": "00000000.parquet", "rows": 10, "first_event_time": 100, "last_event_time": 200}]
    old = {"topic": "t", "next_offsets": {"0": 7}, "segments": segments, "newest_closed": 200, "sequence": 1}
    (tmp_path / MANIFEST_NAME).write_text(json.dumps({"format": 1, **old}, indent=1))
    found = SegmentManifest.load(tmp_path)
    assert found == SegmentManifest("t", {0: 7}, (replace(SEGMENTS[0], sha256=None),), 200, 1)
    assert not found.hashed


WRONG: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.text() | st.floats() | st.integers(max_value=-1) | st.just([]) | st.just({})
)


@given(field=st.sampled_from(["topic", "next_offsets", "segments", "newest_closed", "sequence"]), value=WRONG)
def test_wrong_types_are_no_manifest(field: str, value: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """In format 1, which no hash protects."""
    fits = {"topic": str, "next_offsets": dict, "segments": list, "newest_closed": int | None, "sequence": ()}[field]
    assume(not isinstance(value, fits) or isinstance(value, bool))
    content = {"topic": "t", "next_offsets": {}, "segments": [], "newest_closed": 5, "sequence": 1, field: value}
    directory = tmp_path_factory.mktemp("wrong")
    (directory / MANIFEST_NAME).write_text(json.dumps({"format": 1, **content}))
    with pytest.raises(StoreDamaged):
        SegmentManifest.load(directory)


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_flipped_bit_changes_what_is_read(place: float, bit: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("flip")
    manifest = SegmentManifest("t", {0: 7, 3: 9}, SEGMENTS, newest_closed=300, sequence=2, topic_id="abc")
    manifest.save(directory)
    path = directory / MANIFEST_NAME
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    path.write_bytes(content)
    try:
        found = SegmentManifest.load(directory)
    except (StoreDamaged, StoreMismatch):
        return
    assert found == manifest, "only white space was altered"
