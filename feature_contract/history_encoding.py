"""Encodes the user's last actions: item embedding, action type and age of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from event_schemas.records import HistoryItemRecord, RequestRecord
from feature_contract.float_rows import float32_rows, require_within
from feature_contract.log_ages import log_ages
from feature_contract.missing_features import MissingFeatures
from feature_contract.model_input import HISTORY_ACTIONS, HISTORY_AGES, HISTORY_ITEMS, HISTORY_MASK, Array
from feature_contract.number_range import NumberRange
from feature_contract.stable_buckets import MISSING_BUCKET, bucket

ACTION_TYPE = "history.action_type"


@dataclass(frozen=True, slots=True)
class HistoryShape:
    """Number of items used per history, width of their embeddings (0: not used), buckets of their action types."""

    length: int
    item_dim: int
    buckets: int


def history_arrays(requests: Sequence[RequestRecord], shape: HistoryShape, within: NumberRange) -> dict[str, Array]:
    """The `length` newest history items of each request, newest first, padded at the end.

    Ages are log(1 + minutes before the request); an item with a later time than its request (clock skew) has age 0.
    An empty embedding means an unknown item and is encoded as zeros. Raises MissingFeatures for an item embedding of
    the wrong length or with an absurd value.
    """
    size = (len(requests), shape.length)
    newest = [_newest(request, shape.length) for request in requests]
    mask = np.zeros(size, dtype=np.float32)
    actions = np.full(size, MISSING_BUCKET, dtype=np.int64)
    elapsed = np.zeros(size, dtype=np.float64)
    for row, (request, items) in enumerate(zip(requests, newest, strict=True)):
        count = len(items)
        mask[row, :count] = 1.0
        actions[row, :count] = [bucket(ACTION_TYPE, item["action_type"], shape.buckets) for item in items]
        elapsed[row, :count] = [request["event_time"] - item["event_time"] for item in items]
    arrays: dict[str, Array] = {HISTORY_ACTIONS: actions, HISTORY_AGES: log_ages(elapsed), HISTORY_MASK: mask}
    if shape.item_dim:
        arrays[HISTORY_ITEMS] = _item_embeddings(newest, shape, within)
    return arrays


def _newest(request: RequestRecord, length: int) -> list[HistoryItemRecord]:
    # Records list the history oldest first, so of two items with the same millisecond the later one is newer.
    return sorted(request["history"], key=lambda item: item["event_time"])[-length:][::-1]


def _item_embeddings(
    newest: Sequence[Sequence[HistoryItemRecord]], shape: HistoryShape, within: NumberRange
) -> NDArray[np.float32]:
    """float32[n, H, I]."""
    vectors: list[Sequence[float]] = []
    rows: list[int] = []
    slots: list[int] = []
    for row, items in enumerate(newest):
        for slot, item in enumerate(items):
            embedding = item["embedding"]
            if not embedding:
                continue
            if len(embedding) != shape.item_dim:
                found = f"has {len(embedding)} values instead of {shape.item_dim}"
                raise MissingFeatures(f"history[{slot}].embedding", found)
            vectors.append(embedding)
            rows.append(row)
            slots.append(slot)
    embeddings = np.zeros((len(newest), shape.length, shape.item_dim), dtype=np.float32)
    values = float32_rows(vectors, shape.item_dim, "history.embedding")
    require_within(values, within.largest_component, lambda index: f"history[{slots[index]}].embedding")
    embeddings[rows, slots] = within.encoded(values)
    return embeddings
