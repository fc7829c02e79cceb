"""Encodes many requests at once, to the arrays that the encoding of records gives, bit for bit.

A request that the encoding of records would refuse has zeros and is marked; that encoding says what is wrong with it.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from feature_contract.history_encoding import ACTION_TYPE, HistoryShape
from feature_contract.log_ages import log_ages
from feature_contract.model_input import (
    HISTORY_ACTIONS,
    HISTORY_AGES,
    HISTORY_ITEMS,
    HISTORY_MASK,
    PREVIOUS_AGES,
    PREVIOUS_MASK,
    PREVIOUS_WEIGHTS,
    Array,
)
from feature_contract.number_range import NumberRange
from feature_contract.previous_encoding import PreviousShape, normalised
from feature_contract.request_columns import ABSENT, Lists, RequestColumns, Texts, Vectors
from feature_contract.stable_buckets import MISSING_BUCKET, bucket

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
NOT_A_NUMBER = float("nan")
NOWHERE = -1


def embedding_columns(vectors: Vectors, width: int, within: NumberRange) -> tuple[Array, Bools]:
    """float32[n, width] of the users' embeddings, and bool[n]: which rows are broken."""
    rows = np.flatnonzero(vectors.lists.lengths == width)
    encoded = np.zeros((len(vectors.lists.lengths), width), dtype=np.float32)
    values, sound = _within(vectors.of_width(width, rows), within.largest_component)
    encoded[rows[sound]] = within.encoded(values[sound])
    broken = np.ones(len(encoded), dtype=bool)
    broken[rows[sound]] = False
    return encoded, broken


def category_columns(
    columns: RequestColumns, names: Sequence[tuple[str, bool]], buckets: int
) -> tuple[NDArray[np.int64], Bools]:
    """int64[n, C] bucket ids, and which rows lack a required one; `names` are (name, required)."""
    ids = np.full((columns.rows, len(names)), MISSING_BUCKET, dtype=np.int64)
    broken = np.zeros(columns.rows, dtype=bool)
    for column, (name, required) in enumerate(names):
        rows, entries = _context_entries(columns, name)
        ids[rows, column] = _buckets(columns.context_values, entries, name, buckets)
        broken |= required & _without(rows, columns.rows)
    return ids, broken


def number_columns(
    columns: RequestColumns, names: Sequence[tuple[str, bool]], within: NumberRange
) -> tuple[Array, Bools]:
    """float32[n, M], and which rows lack a required number or have one that is none; `names` are (name, required)."""
    parts, broken = list[NDArray[np.float64]](), np.zeros(columns.rows, dtype=bool)
    for name, required in names:
        rows, entries = _context_entries(columns, name)
        found = columns.context_values.looked_up(_number, NOT_A_NUMBER, entries)
        sound = np.abs(found) <= within.largest_number  # a NaN is not
        values = np.zeros(columns.rows)
        values[rows[sound]] = found[sound]
        broken[rows[~sound]] = True
        absent = _without(rows, columns.rows)
        broken |= required & absent
        parts += [values] if required else [values, (~absent).astype(np.float64)]
    table = np.column_stack(parts) if parts else np.zeros((columns.rows, 0))
    return within.encoded(table), broken


def history_columns(
    columns: RequestColumns, shape: HistoryShape, within: NumberRange
) -> tuple[dict[str, Array], Bools]:
    """The arrays of `history_encoding.history_arrays`, and which rows have a broken item embedding."""
    history, size = columns.history, (columns.rows, shape.length)
    # Records list the history oldest first, so of two items with the same millisecond the later one is newer.
    rows, slots, entries = _newest_first(history.lists, history.time, shape.length, later_is_newer=True)
    mask, elapsed = np.zeros(size, dtype=np.float32), np.zeros(size)
    actions = np.full(size, MISSING_BUCKET, dtype=np.int64)
    mask[rows, slots] = 1.0
    actions[rows, slots] = _buckets(history.action_type, entries, ACTION_TYPE, shape.buckets)
    elapsed[rows, slots] = columns.event_time[rows] - history.time[entries]
    arrays: dict[str, Array] = {HISTORY_ACTIONS: actions, HISTORY_AGES: log_ages(elapsed), HISTORY_MASK: mask}
    broken = np.zeros(columns.rows, dtype=bool)
    if shape.item_dim:
        embeddings = np.zeros((*size, shape.item_dim), dtype=np.float32)
        width = history.embedding.lists.lengths[entries]
        full = width == shape.item_dim
        broken[rows[~full & (width > 0)]] = True
        values, sound = _within(history.embedding.of_width(shape.item_dim, entries[full]), within.largest_component)
        broken[rows[full][~sound]] = True
        embeddings[rows[full][sound], slots[full][sound]] = within.encoded(values[sound])
        arrays[HISTORY_ITEMS] = embeddings
    return arrays, broken


def previous_columns(
    columns: RequestColumns, shape: PreviousShape, within: NumberRange
) -> tuple[dict[str, Array], Bools]:
    """The arrays of `previous_encoding.previous_arrays`, and which rows have broken weights."""
    previous, size = columns.previous, (columns.rows, shape.length)
    rows, slots, entries = _newest_first(previous.lists, previous.time, shape.length, later_is_newer=False)
    mask, elapsed = np.zeros(size, dtype=np.float32), np.zeros(size)
    mask[rows, slots] = 1.0
    elapsed[rows, slots] = columns.event_time[rows] - previous.time[entries]
    width = len(shape.ranges)
    weights, broken = np.zeros((*size, width), dtype=np.float32), np.zeros(columns.rows, dtype=bool)
    full = previous.weights.lists.lengths[entries] == width
    broken[rows[~full]] = True
    given = normalised(previous.weights.of_width(width, entries[full]).astype(np.float64), shape)
    values, sound = _within(given, within.largest_number)
    broken[rows[full][~sound]] = True
    weights[rows[full][sound], slots[full][sound]] = within.encoded(values[sound])
    return {PREVIOUS_WEIGHTS: weights, PREVIOUS_AGES: log_ages(elapsed), PREVIOUS_MASK: mask}, broken


def _newest_first(lists: Lists, time: Ints, length: int, *, later_is_newer: bool) -> tuple[Ints, Ints, Ints]:
    """(row, slot, entry) of the `length` newest entries of each list; of two with one time the later or earlier one."""
    place = np.arange(len(time))
    order = np.lexsort((-place if later_is_newer else place, -time, lists.owners))
    slot = place - lists.starts[lists.owners]  # entries keep their list, so positions in it are those of the order
    kept = slot < length
    return lists.owners[kept], slot[kept], order[kept]


def _context_entries(columns: RequestColumns, name: str) -> tuple[Ints, Ints]:
    """The rows that give the context feature a value, and the entries that do; the last one of a row counts."""
    entries = np.flatnonzero(columns.context_names.equal(name))
    last = np.full(columns.rows, NOWHERE, dtype=np.int64)
    last[columns.context.owners[entries]] = entries
    rows = np.flatnonzero(last != NOWHERE)
    entries, values = last[rows], columns.context_values
    there = (values.codes[entries] != ABSENT) & ~values.equal("")[entries]
    return rows[there], entries[there]


def _without(rows: Ints, count: int) -> Bools:
    absent = np.ones(count, dtype=bool)
    absent[rows] = False
    return absent


def _buckets(texts: Texts, entries: Ints, feature: str, buckets: int) -> Ints:
    found = texts.looked_up(partial(_bucket, feature, buckets), MISSING_BUCKET, entries)
    return found.astype(np.int64)


def _bucket(feature: str, buckets: int, value: str) -> float:
    return bucket(feature, value, buckets)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return NOT_A_NUMBER


def _within(values: Array, bound: float) -> tuple[NDArray[np.float32], Bools]:
    """The values as float32, and bool[k]: which rows are finite and within ±`bound`."""
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = values.astype(np.float32)
        sound = np.abs(narrow) <= bound  # a NaN is not
    return narrow, np.asarray(sound.all(axis=1))
