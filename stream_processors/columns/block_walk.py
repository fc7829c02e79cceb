"""Compares numbers in an Avro block with their canonical spelling, one field of all rows at a time.

A decoder accepts spellings that no writer uses: numbers with superfluous bytes, union and enum indices out of range.
`CanonicalEdges` finds them by encoding one row again. This module finds, in columns, the rows that have none of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stream_processors.columns.array_types import Integers, Mask

WORD = 8
"""Bytes of a block that are compared at a time."""
FIXED = {"float": 4, "double": 8, "boolean": 1}
"""Types whose values all have the same number of bytes."""


class BlockWalk:
    """Stands at one position in each row of a block and moves on number by number.

    `block` must have at least `WORD` more bytes after every row. `sure` is True for the rows in which every number so
    far was spelled canonically, so that the position is certain. Where it is False nothing is known.
    """

    def __init__(self, block: bytes, starts: Integers) -> None:
        self._bytes = np.frombuffer(block, np.uint8)
        self._words = np.ndarray((len(block) - WORD + 1,), "<u8", self._bytes.data, strides=(1,))
        self._at = starts.copy()
        self.sure: Mask = np.ones(len(starts), np.bool_)

    def number(self, values: Integers, present: Mask | None = None) -> None:
        """Moves past a zig-zag number, expected to have these values; rows that are not `present` do not move."""
        zigzag = ((values << 1) ^ (values >> 63)).view(np.uint64)
        at = np.minimum(self._at, len(self._words) - 1)
        length: Integers | int = 1
        if zigzag.max(initial=0) < 0x80:
            right = self._bytes[at] == zigzag
        else:
            spelled, length = _spelling(zigzag)
            unused = (8 * (WORD - length)).astype(np.uint64)
            right = (self._words[at] << unused == spelled << unused) & (length > 0)
        self.sure &= right if present is None else right | ~present
        self.skip(length if present is None else np.where(present, length, 0))

    def skip(self, size: Integers | int) -> None:
        """Moves past this many bytes, whatever they are."""
        self._at += size


class WalkedField:
    """One field of a walk: a scalar, a nullable scalar, or an array. A filled array can be passed only if of floats."""

    def __init__(self, field: Mapping[str, Any]) -> None:
        kind = _plain(field["type"])
        self._name: str = field["name"]
        self._null: int | None = kind.index("null") if isinstance(kind, list) else None
        kind = kind if self._null is None else _plain(kind[1 - self._null])
        self._kind: str = "array" if isinstance(kind, Mapping) else kind
        items = _plain(kind["items"]) if isinstance(kind, Mapping) else None
        self._item_size = FIXED.get(items) if isinstance(items, str) else None

    def expressions(self) -> list[pl.Expr]:
        """What the walk needs of the column: sizes or values, and which rows have one."""
        column = pl.col(self._name)
        found = [] if self._null is None else [column.is_not_null().alias(f"{self._name}.present")]
        if self._kind in FIXED:
            return found
        sizes = {"array": column.list.len(), "string": column.str.len_bytes()}
        number = sizes.get(self._kind, column)
        return [*found, (number if self._null is None else number.fill_null(0)).alias(f"{self._name}.number")]

    def walk(self, walk: BlockWalk, columns: pl.DataFrame) -> None:
        """Moves `walk` past this field; `columns` holds what `expressions` asked for."""
        present: Mask | None = None
        if self._null is not None:
            present = columns[f"{self._name}.present"].to_numpy()
            walk.number(np.where(present, 1 - self._null, self._null).astype(np.int64))
            if not present.any():
                return
            present = None if present.all() else present
        if self._kind in FIXED:
            walk.skip(FIXED[self._kind] if present is None else np.where(present, FIXED[self._kind], 0))
            return
        numbers = columns[f"{self._name}.number"].to_numpy().astype(np.int64)
        walk.number(numbers, present)
        if self._kind == "string":
            walk.skip(numbers)
        elif self._kind == "array":
            _walk_items(walk, self._item_size, numbers)


def walked_fields(fields: Sequence[Mapping[str, Any]], checked: Sequence[str]) -> list[WalkedField]:
    """The fields to walk to pass all of `checked`; empty if there is nothing to check."""
    last = max((place for place, field in enumerate(fields) if field["name"] in checked), default=-1)
    return [WalkedField(field) for field in fields[: last + 1]]


def _walk_items(walk: BlockWalk, size: int | None, counts: Integers) -> None:
    """Moves past the items of an array and the 0 after them; if items have no fixed `size` nothing is sure any more."""
    filled = counts > 0
    if not filled.any():
        return
    if size is None:
        walk.sure &= ~filled
        return
    walk.skip(counts * size)
    walk.number(np.zeros_like(counts), filled)


def _plain(kind: Any) -> Any:
    return kind["type"] if isinstance(kind, Mapping) and "items" not in kind else kind


def _spelling(zigzag: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], Integers]:
    """The bytes of each number as a little-endian word, and how many there are: 0 where a word is too short."""
    spelled = zigzag & np.uint64(0x7F)
    length = np.ones(len(zigzag), np.int64)
    rest = zigzag >> np.uint64(7)
    for place in range(1, WORD):
        more = rest > 0
        if not more.any():
            break
        spelled |= np.where(more, np.uint64(0x80) << np.uint64(8 * (place - 1)), np.uint64(0))
        spelled |= (rest & np.uint64(0x7F)) << np.uint64(8 * place)
        length += more
        rest >>= np.uint64(7)
    length[rest > 0] = 0
    return spelled, length
