"""A spool's origin outlives its owner, and decides who may send its events."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.delivery.spool_origin import ORIGIN, SpoolOrigin, read_origin, write_origin

few = st.none() | st.sampled_from(["a", "b"])
origins = st.builds(SpoolOrigin, few, few, few)


@given(own=origins, other=origins)
def test_only_what_is_known_to_belong_elsewhere_is_left(own: SpoolOrigin, other: SpoolOrigin) -> None:
    assert own.takes(own)
    assert own.takes(None), "0.1.0 says nothing"
    other_prefix = {own.prefix, other.prefix} == {"a", "b"}
    same_addresses = own.bootstrap == other.bootstrap and own.bootstrap is not None
    other_kafka = other.cluster not in (None, own.cluster) and not same_addresses
    assert own.takes(other) == (not other_prefix and not other_kafka)


def test_a_cluster_that_moved_and_brokers_that_were_set_up_anew_are_the_same_kafka() -> None:
    node = SpoolOrigin("c1", "p.", "new:9092")
    assert node.takes(SpoolOrigin("c1", "p.", "old:9092"))
    assert node.takes(SpoolOrigin("c2", "p.", "new:9092"))
    assert node.takes(SpoolOrigin(None, "p.", "mistyped:9092")), "no broker ever answered there"
    assert not node.takes(SpoolOrigin("c2", "p.", "old:9092"))
    assert not node.takes(SpoolOrigin("c1", "q.", "new:9092"))


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_origin(tmp_path) is None
    for origin in (SpoolOrigin(), SpoolOrigin("c1", "p.", "here:9092"), SpoolOrigin("ü", None, "")):
        write_origin(tmp_path, origin)
        assert read_origin(tmp_path) == origin
    assert [path.name for path in tmp_path.iterdir()] == [ORIGIN]


@pytest.mark.parametrize("content", [b"", b"\0" * 40, b"[]", b"7", b'{"cluster": 7}', b'{"planet": "x"}', b"[" * 9_999])
def test_a_damaged_note_is_no_note_that_nothing_is_known(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ORIGIN).write_bytes(content)
    with pytest.raises(OSError, match="contains no valid origin"):
        read_origin(tmp_path)
