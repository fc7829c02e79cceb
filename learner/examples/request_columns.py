"""The requests of stored examples as the columns that the feature contract encodes."""

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from feature_contract import ABSENT, EarlierWeights, History, Lists, RequestColumns, Texts, Vectors
from learner.examples.previous_fill import PREVIOUS, PREVIOUS_TYPE

CONTEXT, HISTORY, EMBEDDING, TIME = "request_context", "request_history", "request_user_embedding", "request_event_time"


def request_columns(frame: pl.DataFrame) -> RequestColumns:
    """The columns of the frame's requests, in order; without `previous` if the frame has none."""
    context, history = _arrow(frame[CONTEXT]), _arrow(frame[HISTORY])
    features, actions = context.flatten(), history.flatten()
    previous = frame[PREVIOUS].cast(PREVIOUS_TYPE) if PREVIOUS in frame.columns else _nothing(frame.height)
    earlier = _arrow(previous)
    decisions = earlier.flatten()
    return RequestColumns(
        event_time=frame[TIME].to_numpy().astype(np.int64),
        user_embedding=_vectors(_arrow(frame[EMBEDDING])),
        context=_lists(context),
        context_names=_texts(features.field("name")),
        context_values=_texts(features.field("value")),
        history=History(
            _lists(history),
            _times(actions),
            _texts(actions.field("action_type")),
            _vectors(actions.field("embedding")),
        ),
        previous=EarlierWeights(_lists(earlier), _times(decisions), _vectors(decisions.field("weights"))),
    )


def _arrow(column: pl.Series) -> Any:
    return column.to_arrow(compat_level=pl.CompatLevel.oldest())


def _nothing(rows: int) -> pl.Series:
    return pl.Series([None], dtype=PREVIOUS_TYPE).new_from_index(0, rows)


def _lists(lists: Any) -> Lists:
    lengths = lists.value_lengths().fill_null(0)
    return Lists(lengths.to_numpy(zero_copy_only=False).astype(np.int64))


def _vectors(lists: Any) -> Vectors:
    """Vectors with the numbers of the lists; one that is missing is NaN."""
    values = lists.flatten()
    return Vectors(values.to_numpy(zero_copy_only=False), _lists(lists))


def _times(entries: Any) -> NDArray[np.int64]:
    times: NDArray[np.int64] = entries.field("event_time").to_numpy(zero_copy_only=False).astype(np.int64)
    return times


def _texts(column: pa.Array) -> Texts:
    coded = column.dictionary_encode()
    codes = coded.indices.cast(pa.int64()).fill_null(ABSENT).to_numpy(zero_copy_only=False).astype(np.int64)
    return Texts(codes, tuple(coded.dictionary.to_pylist()))
