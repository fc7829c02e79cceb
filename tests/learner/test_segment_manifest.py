"""The manifest file."""

from pathlib import Path

import pytest

from learner.learner_errors import StoreMismatch
from learner.segment_manifest import MANIFEST_NAME, Segment, SegmentManifest

SEGMENTS = (Segment("00000000.parquet", 10, 100, 200), Segment("00000001.parquet", 5, 150, 300))


def test_round_trip(tmp_path: Path) -> None:
    manifest = SegmentManifest("t", {0: 7, 3: 9}, SEGMENTS, newest_closed=300, sequence=2)
    manifest.save(tmp_path)
    assert SegmentManifest.load(tmp_path) == manifest
    assert manifest.rows == 15


def test_an_empty_directory_has_none(tmp_path: Path) -> None:
    assert SegmentManifest.load(tmp_path) is None


def test_segments_retire_when_every_row_is_old() -> None:
    manifest = SegmentManifest("t", {}, SEGMENTS)
    assert manifest.retired(200).segments == SEGMENTS
    assert manifest.retired(201).segments == SEGMENTS[1:]


@pytest.mark.parametrize("content", [b"", b"{}", b'{"format": 2}', b'{"format": 1, "topic": "t"}', b"[]"])
def test_an_unreadable_manifest_says_how_to_mend_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MANIFEST_NAME).write_bytes(content)
    with pytest.raises(StoreMismatch, match="unreadable"):
        SegmentManifest.load(tmp_path)
