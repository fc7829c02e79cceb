"""Arrow columns made of arrays at once: lists of equal length, structs, repeated values and texts by index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def column(values: Any) -> pa.Array:
    """The values as an Arrow array; one that they are already stays as it is."""
    return values if isinstance(values, pa.Array) else pa.array(values)


def even_lists(values: pa.Array, rows: int) -> pa.Array:
    """`rows` lists of equal length that hold the values in order."""
    each = len(values) // rows if rows else 0
    return pa.ListArray.from_arrays(pa.array(np.arange(rows + 1, dtype=np.int32) * each), values)


def lists(values: pa.Array, lengths: NDArray[np.int64]) -> pa.Array:
    """One list for each length, holding the values in order."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def empty_lists(rows: int, kind: pa.DataType) -> pa.Array:
    """`rows` lists of this kind without a value."""
    return pa.ListArray.from_arrays(pa.array(np.zeros(rows + 1, dtype=np.int32)), pa.array([], type=kind))


def struct(**fields: Any) -> pa.Array:
    """Structs with these fields, each of which has one value for each struct."""
    return pa.StructArray.from_arrays([column(values) for values in fields.values()], names=list(fields))


def texts(names: Sequence[str], index: NDArray[np.int64]) -> pa.Array:
    """The name at each index."""
    return pa.array(list(names), type=pa.string()).take(pa.array(index.ravel()))


def repeated(names: Sequence[str], rows: int) -> pa.Array:
    """All of the names, one after the other, `rows` times."""
    return texts(names, np.tile(np.arange(len(names)), rows))
