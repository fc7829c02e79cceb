"""Where a spool belongs outlives its owner, and decides who may send it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.spool_origin import ORIGIN, SpoolOrigin, read_origin, write_origin

few = st.none() | st.sampled_from(["a", "b"])
origins = st.builds(SpoolOrigin, few, few, few)


@given(own=origins, other=origins)
def test_only_equals_are_taken(own: SpoolOrigin, other: SpoolOrigin) -> None:
    assert own.takes(own)
    assert own.takes(None), "0.1.0 says nothing"
    if own.takes(other):
        assert own.prefix == other.prefix
        assert other.cluster in (None, own.cluster)
        assert other.cluster is not None or own.bootstrap == other.bootstrap


def test_addresses_count_only_until_the_cluster_is_known() -> None:
    node = SpoolOrigin("c1", "p.", "new:9092")
    assert node.takes(SpoolOrigin("c1", "p.", "old:9092"))
    assert not node.takes(SpoolOrigin("c2", "p.", "new:9092"))
    assert node.takes(SpoolOrigin(None, "p.", "new:9092"))
    assert not node.takes(SpoolOrigin(None, "p.", "old:9092"))


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_origin(tmp_path) is None
    for origin in (SpoolOrigin(), SpoolOrigin("c1", "p.", "here:9092"), SpoolOrigin("ü", None, "")):
        write_origin(tmp_path, origin)
        assert read_origin(tmp_path) == origin
    assert [path.name for path in tmp_path.iterdir()] == [ORIGIN]


@pytest.mark.parametrize("content", [b"", b"\0" * 40, b"[]", b"7", b'{"cluster": 7}', b'{"planet": "x"}', b"[" * 9_999])
def test_a_damaged_note_is_no_note_that_nothing_is_known(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ORIGIN).write_bytes(content)
    with pytest.raises(OSError, match="does not say where the spool belongs"):
        read_origin(tmp_path)
