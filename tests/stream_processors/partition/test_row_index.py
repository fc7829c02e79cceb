"""The index of rows is a dict in little memory: the same answers, one by one and many at a time."""

from __future__ import annotations

import random

import numpy as np
import pytest

from stream_processors.partition import row_index
from stream_processors.partition.row_index import EMPTY, LEAST_SLOTS, UNKNOWN, RowIndex


def filled(count: int) -> tuple[RowIndex, list[bytes]]:
    keys = [b"key-%d" % row for row in range(count)]
    index = RowIndex(keys)
    index.add_all(keys, np.arange(count))
    return index, keys


@pytest.mark.parametrize("count", [0, 1, LEAST_SLOTS // 2, LEAST_SLOTS // 2 + 1, 5_000])
def test_every_row_is_found_by_its_key(count: int) -> None:
    index, keys = filled(count)
    assert [index.get(key) for key in keys] == index.get_all(keys).tolist() == list(range(count))
    assert len(index) == count


def test_an_unknown_key_and_none_have_no_row() -> None:
    index, _ = filled(100)
    assert index.get(b"other") is None
    assert index.get_all([b"other", None, b"key-7", b""]).tolist() == [UNKNOWN, UNKNOWN, 7, UNKNOWN]
    assert RowIndex([]).get_all([]).tolist() == []


def test_a_removed_row_is_unknown_and_hides_no_other() -> None:
    index, keys = filled(1_000)
    for row in range(0, 1_000, 2):
        index.remove(row)
    expected = [row if row % 2 else UNKNOWN for row in range(1_000)]
    assert index.get_all(keys).tolist() == expected
    assert [index.get(key) for key in keys] == [None if row == UNKNOWN else row for row in expected]
    assert len(index) == 500


def test_removing_what_is_not_known_is_a_fault() -> None:
    index, _ = filled(3)
    index.remove(1)
    with pytest.raises(KeyError, match="1"):
        index.remove(1)


def test_it_answers_as_a_dict_does_through_any_changes() -> None:
    draw = random.Random(3)
    keys, known, free = list[bytes](), dict[bytes, int](), list[int]()
    index = RowIndex(keys)
    for number in range(400):
        new = [b"%d-%d" % (number, one) for one in range(draw.choice((1, 2, 60)))]
        rows = [free.pop() if free else len(keys) + place for place in range(len(new))]
        keys += [b""] * (max(rows) + 1 - len(keys))
        for key, row in zip(new, rows, strict=True):
            keys[row], known[key] = key, row
        if len(new) == 1:
            index.add(new[0], rows[0])
        else:
            index.add_all(new, np.array(rows))
        for key in draw.sample(sorted(known), min(len(known), draw.choice((0, 5, 50)))):
            row = known.pop(key)
            index.remove(row)
            keys[row] = b""
            free.append(row)
        asked = [*draw.sample(sorted(known), min(len(known), 20)), b"absent", new[0]]
        assert index.get_all(asked).tolist() == [known.get(key, UNKNOWN) for key in asked]
        assert [index.get(key) for key in asked] == [known.get(key) for key in asked]
    assert len(index) == len(known)


def test_slots_stay_few_while_decisions_come_and_go() -> None:
    keys = [b""] * 100
    index = RowIndex(keys)
    for number in range(50_000):
        row = number % 100
        if keys[row]:
            index.remove(row)
        keys[row] = b"%d" % number
        index.add(keys[row], row)
    assert index.get_all(keys).tolist() == list(range(100))
    assert len(index._slots) <= 1_024
    assert index._slots.count(EMPTY) >= len(index._slots) // 2


@pytest.mark.parametrize("count", [1_000, 21_845, 21_846, 60_000])
def test_a_row_takes_eight_to_twenty_four_bytes(count: int) -> None:
    index, _ = filled(count)
    assert 8 * count <= len(index._slots) * index._slots.itemsize <= 24 * count


def test_each_row_is_moved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_index, "MOVED_AT_ONCE", 10)
    keys = [b"key-%d" % row for row in range(10 * LEAST_SLOTS)]
    index = RowIndex(keys)
    for row, key in enumerate(keys):
        index.add(key, row)
    for row in range(len(keys)):
        index.remove(row)
    assert index.get_all(keys).tolist() == [UNKNOWN] * len(keys)
    assert len(index) == 0
