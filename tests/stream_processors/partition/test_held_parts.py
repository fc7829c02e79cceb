"""Parts wait alone or in blocks, and come out as they are in an example."""

from __future__ import annotations

import pytest

from event_schemas import records as r
from stream_processors.partition import held_parts
from stream_processors.partition.held_parts import HAS_RANKING, NEEDED, NO_RANKING, PARTS, HeldParts, ranking_in_example

NEWEST, FIRST, OTHER = b"\0\0\0\0\3", b"\0\0\0\0\2", b"\0\0\0\0\1"
LIFTS = {NEWEST: b"", FIRST: b"."}
"""The first version lacks the last byte. The other one is resolved."""


def datum(row: int, name: str) -> bytes:
    return f"{name} of {row}.".encode()


def value(row: int, name: str, version: bytes = NEWEST) -> bytes:
    """A part as it came in a version."""
    return version + {NEWEST: datum(row, name), FIRST: datum(row, name)[:-1], OTHER: b"old"}[version]


def holding(rows: int, *, ranked: bool = False, older: tuple[str, ...] = (), version: bytes = OTHER) -> HeldParts:
    """Rows with all they need, not in blocks yet; parts named `older` came in that version."""
    parts = HeldParts(LIFTS)
    parts.add_rows(rows)
    for row in range(rows):
        for place, name in enumerate(PARTS if ranked else NEEDED):
            came = version if name in older else NEWEST
            resolved = datum(row, name) if came == OTHER else None
            parts.keep_part(row, name, (value(row, name, came), place, 10 * place), resolved)
    return parts


def body(row: int, *, ranked: bool = False) -> bytes:
    union = HAS_RANKING + datum(row, r.RANKING) if ranked else NO_RANKING
    return b"".join(datum(row, name) for name in NEEDED) + union


def test_a_ranking_is_a_union_in_an_example() -> None:
    assert (ranking_in_example(b"it"), ranking_in_example(b""), ranking_in_example(None)) == (b"\2it", b"\0", b"\0")


def test_a_part_alone_is_there_as_it_came_until_it_is_dropped() -> None:
    parts = holding(1, older=(r.ACTION,))
    assert parts.alone(0, r.REQUEST) == (NEWEST + datum(0, r.REQUEST), 0, 0)
    assert parts.alone(0, r.RANKING) is None
    assert parts.resolved == {(0, r.ACTION): datum(0, r.ACTION)}
    for name in NEEDED:
        assert parts.holds_alone(0)
        parts.drop(0, name)
    assert not parts.holds_alone(0)
    assert parts.resolved == {}


@pytest.mark.parametrize("ranked", [True, False])
@pytest.mark.parametrize("older", [(), (r.ACTION,), PARTS])
@pytest.mark.parametrize("version", [FIRST, OTHER])
def test_blocks_hold_bodies_of_examples(ranked: bool, older: tuple[str, ...], version: bytes) -> None:
    parts = holding(5, ranked=ranked, older=older, version=version)
    parts.put_in_blocks([3, 1, 4])
    assert parts.bodies([1, 3, 4]) == [body(row, ranked=ranked) for row in (1, 3, 4)]
    assert not parts.holds_alone(3)
    assert parts.holds_alone(2)


def test_the_newest_datum_is_lifted_unless_it_is_resolved() -> None:
    parts = HeldParts(LIFTS)
    assert parts.newest_datum(NEWEST + b"it.") == parts.newest_datum(FIRST + b"it") == b"it."
    assert parts.newest_datum(OTHER + b"old", b"it.") == b"it."


@pytest.mark.parametrize("older", [(), (r.REQUEST,), PARTS])
@pytest.mark.parametrize("version", [FIRST, OTHER])
def test_a_second_copy_is_known_in_blocks_too(older: tuple[str, ...], version: bytes) -> None:
    parts = holding(1, ranked=True, older=older, version=version)
    for _ in range(2):
        for name in PARTS:
            assert parts.is_first(0, name, datum(0, name))
            assert not parts.is_first(0, name, datum(0, name) + b"!")
            assert not parts.is_first(0, name, b"old")
        if parts.holds_alone(0):
            parts.put_in_blocks([0])


def test_a_second_copy_is_told_apart_from_what_follows_in_the_block() -> None:
    parts = holding(2, ranked=True)
    parts.put_in_blocks([0, 1])
    for row in (0, 1):
        for name in PARTS:
            assert parts.is_first(row, name, datum(row, name))
            assert not parts.is_first(row, name, datum(1 - row, name))


@pytest.mark.parametrize("version", [NEWEST, FIRST, OTHER])
def test_a_ranking_may_come_after_the_rest(version: bytes) -> None:
    parts, late = holding(2), holding(2, ranked=True, older=(r.RANKING,), version=version)
    parts.put_in_blocks([0, 1])
    ranking = late.alone(1, r.RANKING)
    assert ranking is not None
    parts.keep_part(1, r.RANKING, ranking, late.resolved.get((1, r.RANKING)))
    assert parts.bodies([0, 1]) == [body(0), body(1, ranked=True)]
    assert parts.is_first(1, r.RANKING, datum(1, r.RANKING))
    assert parts.is_first(1, r.ACTION, datum(1, r.ACTION))
    parts.drop_blocks([0, 1])
    assert not parts.holds_alone(1)
    assert parts.resolved == {}


def test_parts_that_come_at_once_go_to_blocks_at_once() -> None:
    parts = HeldParts(LIFTS)
    parts.add_rows(3)
    columns = [(*(datum(row, name) for name in NEEDED), b"") for row in (2, 0)]
    parts.put_in_blocks([2, 0], [(request, action, propensity, none) for request, action, propensity, none in columns])
    assert parts.bodies([0, 2]) == [body(0), body(2)]


def test_many_are_held_as_they_would_be_one_by_one() -> None:
    parts, single = HeldParts(LIFTS), holding(4)
    parts.add_rows(4)
    for name in NEEDED:
        given = [part for row in range(4) if (part := single.alone(row, name))]
        parts.keep_parts(name, range(4), given)
    assert [parts.alone(row, name) for row in range(4) for name in PARTS] == [
        single.alone(row, name) for row in range(4) for name in PARTS
    ]


def test_a_block_takes_no_more_than_fits_and_goes_with_its_last_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_parts, "BLOCK_BYTES", 2 * len(body(0)))
    parts = holding(5)
    parts.put_in_blocks(range(5))
    blocks = parts._blocks
    assert blocks[0] is blocks[1] is not blocks[2]
    assert blocks[2] is blocks[3] is not blocks[4]
    assert parts.bodies(range(5)) == [body(row) for row in range(5)]
    parts.drop_blocks([0, 1])
    assert blocks[:2] == [None, None]
    assert parts.bodies([2, 3, 4]) == [body(row) for row in (2, 3, 4)]
