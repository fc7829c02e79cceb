"""The Requests, Actions, Propensities and Rankings that wait for their decisions to close.

Parts that came alone are kept as they came. As soon as an example can be made of them they move into a *block*: one
bytes object for the parts of many decisions, in the newest schemas and in the order of an example. One object for each
decision would take a twentieth more memory, and freeing them would fragment the heap. A Ranking that comes when its
decision is already in a block is kept as it came: a new entry with it would leave the old one unused in the block.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence

from event_schemas import records as r
from event_schemas.codec import HEADER

PARTS = (r.REQUEST, r.ACTION, r.PROPENSITY, r.RANKING)
"""The record types of a decision's parts, in the order of an example. Other modules derive their tables from this."""
NEEDED = PARTS[:3]
"""There is no example without these."""
FRAMING = HEADER.size
"""How many bytes of a value come before its datum."""
NO_RANKING, HAS_RANKING = b"\x00", b"\x02"
"""The branches of the union in an example: no Ranking, or the Ranking that follows."""
SIZES = struct.Struct("<4I")
"""The start of an entry in a block: how many bytes follow, and how many of them are request, action, propensity."""
WHOLE_SIZE = struct.Struct("<I")
"""The first of these numbers alone."""
BLOCK_BYTES = 65_536
"""A block of this size takes no more entries. It is freed when the last of its decisions has closed."""

Datums = tuple[bytes, bytes, bytes, bytes]
"""Request, action, propensity and ranking in the newest schemas; no bytes for a ranking that is missing."""
HeldPart = tuple[bytes, int, int]
"""A part as it came: its value, its offset and its event time (ms). A plain tuple, because there are many."""


def ranking_in_example(ranking: bytes | None) -> bytes:
    """The `ranking` field of an Example: with this datum, or null."""
    return HAS_RANKING + ranking if ranking else NO_RANKING


class HeldParts:
    """Parts by row of a decision table. The caller knows which parts a row has.

    `lifts` is `Codec.lifts`. A part is *resolved* if its version cannot be lifted, so its datum was encoded again.
    """

    def __init__(self, lifts: Mapping[bytes, bytes]) -> None:
        self._lifts = lifts
        self.resolved: dict[tuple[int, str], bytes] = {}
        """Datums in the newest schema of resolved parts that are in no block yet."""
        self._alone: dict[str, dict[int, HeldPart]] = {name: {} for name in PARTS}
        self._blocks: list[bytes | None] = []
        self._starts = array("I")
        """Where in its block the entry of a row begins."""

    def add_rows(self, count: int) -> None:
        """Adds rows without parts."""
        self._blocks += [None] * count
        self._starts.frombytes(bytes(self._starts.itemsize * count))

    def keep_part(self, row: int, name: str, part: HeldPart, resolved: bytes | None = None) -> None:
        """Keeps a part as it came, and its datum in the newest schema if it is resolved."""
        self._alone[name][row] = part
        if resolved is not None:
            self.resolved[row, name] = resolved

    def keep_parts(self, name: str, rows: Iterable[int], parts: Iterable[HeldPart]) -> None:
        """Does `keep_part` for one part of each of many rows, none of them resolved."""
        self._alone[name].update(zip(rows, parts, strict=True))

    def alone(self, row: int, name: str) -> HeldPart | None:
        """A part that is in no block; None when there is none."""
        return self._alone[name].get(row)

    def holds_alone(self, row: int) -> bool:
        """Whether a row has any part that is in no block."""
        return any(row in held for held in self._alone.values())

    def drop(self, row: int, name: str) -> None:
        """Lets a part go that is in no block."""
        self._alone[name].pop(row, None)
        if self.resolved:
            self.resolved.pop((row, name), None)

    def newest_datum(self, value: bytes, resolved: bytes | None = None) -> bytes:
        """The datum of a part in the newest schema."""
        return value[FRAMING:] + self._lifts[value[:FRAMING]] if resolved is None else resolved

    def newest_data(self, values: Iterable[bytes]) -> list[bytes]:
        """`newest_datum` of many parts, none of them resolved."""
        lifts = self._lifts
        return [value[FRAMING:] + lifts[value[:FRAMING]] for value in values]

    def is_first(self, row: int, name: str, datum: bytes) -> bool:
        """Whether the part that a row has is this datum in the newest schema."""
        if (held := self._alone[name].get(row)) is not None:
            return self.newest_datum(held[0], self.resolved.get((row, name))) == datum
        return self._datums(row)[PARTS.index(name)] == datum

    def put_in_blocks(self, rows: Sequence[int], datums: Iterable[Datums] | None = None) -> None:
        """Puts the parts of rows that have request, action and propensity into blocks.

        `datums` are these parts, or None to take out those that were kept. Give the rows in the order in which they
        close, if possible.
        """
        self._put(zip(rows, self._take_out(rows) if datums is None else datums, strict=True))

    def bodies(self, rows: Sequence[int]) -> list[bytes]:
        """The Examples of rows in blocks, up to the outcome."""
        bodies, late = [block[start:end] for block, start, end in map(self._body, rows)], self._alone[r.RANKING]
        if late:
            for place, row in enumerate(rows):
                if row in late:
                    ranking = self.newest_datum(late[row][0], self.resolved.get((row, r.RANKING)))
                    bodies[place] = bodies[place][: -len(NO_RANKING)] + ranking_in_example(ranking)
        return bodies

    def drop_blocks(self, rows: Sequence[int]) -> None:
        """Lets all parts of rows in blocks go."""
        blocks = self._blocks
        for row in rows:
            blocks[row] = None
        if self._alone[r.RANKING]:
            for row in rows:
                self.drop(row, r.RANKING)

    def _take_out(self, rows: Iterable[int]) -> Iterator[Datums]:
        """Takes out the kept parts of these rows, for their entries in blocks."""
        requests, actions, propensities, rankings = self._alone.values()
        lifts = self._lifts
        for row in rows:
            if self.resolved or row in rankings:
                yield self._row_taken_out(row)
            else:
                request, action, propensity = requests.pop(row)[0], actions.pop(row)[0], propensities.pop(row)[0]
                yield (
                    request[FRAMING:] + lifts[request[:FRAMING]],
                    action[FRAMING:] + lifts[action[:FRAMING]],
                    propensity[FRAMING:] + lifts[propensity[:FRAMING]],
                    b"",
                )

    def _row_taken_out(self, row: int) -> Datums:
        return (
            self._part_taken_out(row, r.REQUEST),
            self._part_taken_out(row, r.ACTION),
            self._part_taken_out(row, r.PROPENSITY),
            self._part_taken_out(row, r.RANKING),
        )

    def _part_taken_out(self, row: int, name: str) -> bytes:
        """Takes a kept part out, as its datum in the newest schema; no bytes if it is missing."""
        held = self._alone[name].pop(row, None)
        return b"" if held is None else self.newest_datum(held[0], self.resolved.pop((row, name), None))

    def _put(self, entries: Iterable[tuple[int, Datums]]) -> None:
        """Puts entries into new blocks, one after the other in the given order."""
        rows, pieces, size, starts = list[int](), list[bytes](), 0, self._starts
        for row, (request, action, propensity, ranking) in entries:
            sizes, last = (len(request), len(action), len(propensity)), ranking_in_example(ranking)
            body = sum(sizes) + len(last)
            pieces += (SIZES.pack(body, *sizes), request, action, propensity, last)
            starts[row] = size
            rows.append(row)
            size += SIZES.size + body
            if size >= BLOCK_BYTES:
                self._set_block(rows, b"".join(pieces))
                rows, pieces, size = [], [], 0
        self._set_block(rows, b"".join(pieces))

    def _set_block(self, rows: Iterable[int], block: bytes) -> None:
        blocks = self._blocks
        for row in rows:
            blocks[row] = block

    def _body(self, row: int) -> tuple[bytes, int, int]:
        """A row's block, and where in it the body begins and ends."""
        block = self._blocks[row]
        assert block is not None, "the row is in no block"
        start = self._starts[row]
        (size,) = WHOLE_SIZE.unpack_from(block, start)
        return block, start + SIZES.size, start + SIZES.size + size

    def _datums(self, row: int) -> Datums:
        """The parts of a row in a block."""
        block, start, end = self._body(row)
        _, *sizes = SIZES.unpack_from(block, start - SIZES.size)
        action, propensity = start + sizes[0], start + sizes[0] + sizes[1]
        union = propensity + sizes[2]
        return block[start:action], block[action:propensity], block[propensity:union], block[union + 1 : end]
