"""Commit positions: there and back, and what was not written by the join."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_processors.partition.commit_position import CommitPosition, CommitUnreadable

offsets = st.integers(0, 2**62)


@given(
    st.builds(
        CommitPosition,
        offsets,
        offsets,
        offsets,
        st.none() | st.integers(-(2**62), 2**62),
        offsets,
        st.integers(0, 10**12),
        st.none() | st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True),
    )
)
def test_a_position_survives_its_text(position: CommitPosition) -> None:
    assert CommitPosition.parse(position.rebuild_from, position.encode()) == position
    assert len(position.encode()) < 4096


def test_the_text_names_its_numbers() -> None:
    position = CommitPosition(settled=9, open_from=7, rebuild_from=4, watermark=123, floor=2, window_ms=60)
    assert position.encode() == "v=1;S=9;R=7;wm=123;floor=2;window=60"
    assert replace(position, topic_id="x-1").encode() == "v=1;S=9;R=7;wm=123;floor=2;window=60;topic=x-1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=2;S=9;R=7;wm=123;floor=2;window=60",
        "v=1;S=9",
        "v=1;S=-1;R=0;wm=0;floor=0;window=1",
        "v=1;S=9;R=7;wm=1;floor=2;window=60;topic=",
    ],
)
def test_other_texts_are_refused_by_name(text: str) -> None:
    with pytest.raises(CommitUnreadable, match="offset 4") as caught:
        CommitPosition.parse(4, text)
    assert repr(text) in caught.value.what
