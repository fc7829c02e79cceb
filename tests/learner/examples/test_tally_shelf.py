"""Kept tallies are those that were read; a damaged file is none."""

import json
from pathlib import Path

import pytest

from learner.examples.slice_tallies import ArmDay, SliceTallies, SpanDay, SpanTotal
from learner.examples.tally_shelf import KeptTallies, TallyShelf

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
