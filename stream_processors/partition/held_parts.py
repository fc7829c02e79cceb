"""The Requests, Actions, Propensities and Rankings that wait for their decisions to close.

Parts that came alone are kept as they came. As soon as an example can be made of them they stand in a *block*: one
bytes object for the parts of many decisions, in the newest schemas and in the order of an example. An object for each
decision would take a twentieth more memory, and leave the heap in pieces when they go. A Ranking that comes after its
decision stands in a block is kept as it came: a copy of the entry with it would leave the old one behind in the block.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence

from event_schemas import records as r
from event_schemas.codec import HEADER

PARTS = (r.REQUEST, r.ACTION, r.PROPENSITY, r.RANKING)
NEEDED = PARTS[:3]
"""Without these there is no example; their order in it."""
FRAMING = HEADER.size
NO_RANKING, HAS_RANKING = b"\x00", b"\x02"
"""The branches of the union that a Ranking is in an example."""
SIZES = struct.Struct("<4I")
"""What an entry of a block begins with: how many bytes follow, and how many of them are request, action, propensity."""
WHOLE_SIZE = struct.Struct("<I")
BLOCK_BYTES = 65_536
"""A block that has reached this size takes no more entries. It goes when the last of its decisions has closed."""

Datums = tuple[bytes, bytes, bytes, bytes]
"""Request, action, propensity and ranking in the newest schemas; no bytes for a ranking that is missing."""
HeldPart = tuple[bytes, int, int]
"""A part as it came: its value, its offset and its event time (ms). A bare tuple: there are very many."""


def ranking_in_example(ranking: bytes | None) -> bytes:
    """The field of an Example for a Ranking's datum, or for none."""
    return HAS_RANKING + ranking if ranking else NO_RANKING


class HeldParts:
    """Parts by row of a decision table; which parts a row has, its caller knows."""

    def __init__(self) -> None:
        self.resolved: dict[tuple[int, str], bytes] = {}
        """Datums in the newest schema of parts that came in an older one and stand in no block yet."""
        self._alone: dict[str, dict[int, HeldPart]] = {name: {} for name in PARTS}
        self._as_came: dict[tuple[int, str], bytes] = {}
        """Parts of an older schema that stand in a block."""
        self._blocks: list[bytes | None] = []
        self._starts = array("I")
        """Where in its block the entry of a row begins."""

    def add_rows(self, count: int) -> None:
        """Rows without parts."""
        self._blocks += [None] * count
        self._starts.frombytes(bytes(self._starts.itemsize * count))

    def hold(self, row: int, name: str, part: HeldPart, resolved: bytes | None = None) -> None:
        """Keeps a part; `resolved` is its datum in the newest schema when it came in an older one."""
        self._alone[name][row] = part
        if resolved is not None:
            self.resolved[row, name] = resolved

    def hold_all(self, name: str, rows: Iterable[int], parts: Iterable[HeldPart]) -> None:
        """Keeps a part of each of many rows, all in the newest schema."""
        self._alone[name].update(zip(rows, parts, strict=True))

    def alone(self, row: int, name: str) -> HeldPart | None:
        """A part that is in no block; None when there is none."""
        return self._alone[name].get(row)

    def holds_alone(self, row: int) -> bool:
        """Whether a row has any part that is in no block."""
        return any(row in held for held in self._alone.values())

    def drop(self, row: int, name: str) -> None:
        """Lets go of a part that is in no block."""
        self._alone[name].pop(row, None)
        if self.resolved:
            self.resolved.pop((row, name), None)

    def is_first(self, row: int, name: str, value: bytes, newest: bool) -> bool:
        """Whether a row's part, which has come, is this value; `newest` tells whether that is in the newest schema."""
        if (held := self._alone[name].get(row)) is not None:
            return held[0] == value
        if (came := self._as_came.get((row, name))) is not None:
            return came == value
        return newest and self._datums(row)[PARTS.index(name)] == value[FRAMING:]

    def complete(self, rows: Sequence[int], datums: Iterable[Datums] | None = None) -> None:
        """Puts rows that have request, action and propensity into blocks: best in the order in which they close.

        `datums` are their parts where these come at once; without it they are those held.
        """
        self._put(zip(rows, self._take(rows) if datums is None else datums, strict=True))

    def bodies(self, rows: Sequence[int]) -> list[bytes]:
        """Of rows in blocks their Examples up to the outcome."""
        bodies, late = [block[start:end] for block, start, end in map(self._body, rows)], self._alone[r.RANKING]
        if late:
            for place, row in enumerate(rows):
                if row in late:
                    ranking = self.resolved.get((row, r.RANKING), late[row][0][FRAMING:])
                    bodies[place] = bodies[place][: -len(NO_RANKING)] + ranking_in_example(ranking)
        return bodies

    def release(self, rows: Sequence[int]) -> None:
        """Lets go of all that rows in blocks hold."""
        blocks = self._blocks
        for row in rows:
            blocks[row] = None
        if self._alone[r.RANKING]:
            for row in rows:
                self.drop(row, r.RANKING)
        if self._as_came:
            for row in rows:
                for name in PARTS:
                    self._as_came.pop((row, name), None)

    def _take(self, rows: Iterable[int]) -> Iterator[Datums]:
        """Takes out what the entries of these rows are made of."""
        requests, actions, propensities, rankings = self._alone.values()
        for row in rows:
            if self.resolved or row in rankings:
                yield self._all_taken(row)
            else:
                request, action, propensity = requests.pop(row)[0], actions.pop(row)[0], propensities.pop(row)[0]
                yield (request[FRAMING:], action[FRAMING:], propensity[FRAMING:], b"")

    def _all_taken(self, row: int) -> Datums:
        return (
            self._taken(row, r.REQUEST),
            self._taken(row, r.ACTION),
            self._taken(row, r.PROPENSITY),
            self._taken(row, r.RANKING),
        )

    def _taken(self, row: int, name: str) -> bytes:
        """Takes a part out as its datum in the newest schema, to be put into a block; nothing when it is missing."""
        held = self._alone[name].pop(row, None)
        if held is None:
            return b""
        value = held[0]
        if self.resolved and (newest := self.resolved.pop((row, name), None)) is not None:
            self._as_came[row, name] = value
            return newest
        return value[FRAMING:]

    def _put(self, entries: Iterable[tuple[int, Datums]]) -> None:
        """Into new blocks, side by side in the given order."""
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
        """A row's block, and from where to where in it the body is."""
        block = self._blocks[row]
        assert block is not None, "the row stands in no block"
        start = self._starts[row]
        (size,) = WHOLE_SIZE.unpack_from(block, start)
        return block, start + SIZES.size, start + SIZES.size + size

    def _datums(self, row: int) -> Datums:
        """What a row in a block has."""
        block, start, end = self._body(row)
        _, *sizes = SIZES.unpack_from(block, start - SIZES.size)
        action, propensity = start + sizes[0], start + sizes[0] + sizes[1]
        union = propensity + sizes[2]
        return block[start:action], block[action:propensity], block[propensity:union], block[union + 1 : end]
