"""Kept tallies are those that were read; a damaged file is none."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from learner.examples.slice_tallies import ArmDay, SliceTallies, SpanDay, SpanTotal
from learner.examples.tally_shelf import KeptTallies, TallyShelf, sources_digest

TALLIES = SliceTallies(
    {"EXPLORE": 3, "POLICY": 9},
    {"absurd": 1},
    {ArmDay(3, "EXPLORE", 1): 3, ArmDay(3, "POLICY", 0): 9},
    {SpanDay("d" * 64, 3): SpanTotal(1, 2, 12, 12, 0.5, 12.0)},
    kept_from=7,
)


def test_what_was_kept_is_what_was_read(tmp_path: Path) -> None:
    shelf = TallyShelf(tmp_path / "learner" / "tallies.json")
    assert shelf.load() == KeptTallies()
    shelf.save(TALLIES, 17)
    assert shelf.load() == KeptTallies(TALLIES, 17)


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"counts": 3}', "\x00"])
def test_a_damaged_file_is_no_tallies(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tallies.json"
    path.write_text(content, encoding="utf-8")
    assert TallyShelf(path).load() == KeptTallies()
    whole = KeptTallies(TALLIES, 17).as_dict()
    for name in whole:
        path.write_text(json.dumps({key: value for key, value in whole.items() if key != name}), encoding="utf-8")
        assert TallyShelf(path).load() == KeptTallies()
    for name in ("newest_example", "undated_until", "left_out", "spans"):
        path.write_text(json.dumps(whole | {name: "x"}), encoding="utf-8")
        assert TallyShelf(path).load() == KeptTallies(), name


def test_examples_that_came_later_are_not_known_to_the_tallies() -> None:
    assert KeptTallies(TALLIES).ended_before(99) is None
    assert KeptTallies(TALLIES, 17).ended_before(17) is None
    assert KeptTallies(TALLIES, 17).ended_before(18) == 17


def test_the_digest_of_the_sources_follows_their_content_and_not_their_order() -> None:
    counts, arms = list(TALLIES.counts.items()), list(TALLIES.arms.items())
    backwards = replace(TALLIES, counts=dict(counts[::-1]), arms=dict(arms[::-1]))
    assert sources_digest(backwards, ["b", "a"]) == sources_digest(TALLIES, ["a", "b"])
    one_more = {**TALLIES.arms, ArmDay(3, "EXPLORE", 1): 4}
    others = [
        sources_digest(TALLIES, ["a"]),
        sources_digest(replace(TALLIES, arms=one_more), ["a", "b"]),
        sources_digest(replace(TALLIES, counts={"EXPLORE": 4, "POLICY": 9}), ["a", "b"]),
        sources_digest(replace(TALLIES, spans={}), ["a", "b"]),
        sources_digest(TALLIES, ["a", "b"]),
    ]
    assert len(set(others)) == len(others)
