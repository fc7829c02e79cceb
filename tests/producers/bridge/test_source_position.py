"""Counts are committed with the offset, and texts of other tools do no harm."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.bridge.engagement_mapping import BridgeFate
from producers.bridge.source_position import SourcePosition
from producers.topics.topic_identity import IDENTITY


@given(st.lists(st.sampled_from(list(BridgeFate))), st.text(max_size=20), st.from_regex(IDENTITY, fullmatch=True))
def test_the_text_reads_back_whatever_runs_on_behind_it(fates: list[BridgeFate], behind: str, topic_id: str) -> None:
    position = SourcePosition(0, topic_id)
    for offset, fate in enumerate(fates):
        position.mark_done(offset, fate)
    assert position.uncommitted is bool(fates)
    found = SourcePosition.from_commit(position.next_offset, position.text() + behind)
    assert (found.next_offset, found.topic_id, found.fates) == (len(fates), topic_id, Counter(fates))
    assert not found.uncommitted


@pytest.mark.parametrize("text", ["", "mine", "v=2;bridged=1;unsampled=1;ignored=1;dead_letter=1;", "v=1;bridged=7"])
def test_a_text_that_is_not_ours_starts_the_counts_anew(text: str) -> None:
    assert SourcePosition.from_commit(5, text).fates.total() == 0


def test_versions_read_each_other_s_texts() -> None:
    old = "v=1;bridged=7;unsampled=1;ignored=2;dead_letter=3;"
    found = SourcePosition.from_commit(5, old + "\0v=1;bridged=")
    assert (found.topic_id, found.fates.total()) == ("", 13)
    found.topic_id = "A-_.z"
    assert found.text().startswith(old), "0.1.0 matches from the start and reads over the rest"


def test_gaps_in_the_source_are_passed_over() -> None:
    position = SourcePosition(3)
    position.mark_done(9, BridgeFate.IGNORED)
    assert (position.next_offset, position.fates.total()) == (10, 1)
