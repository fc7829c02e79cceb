"""Request records as the frame of stored examples that holds them."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from learner.examples.previous_fill import PREVIOUS, PREVIOUS_TYPE

TYPES: dict[str, pl.DataType | type[pl.DataType]] = {
    "event_time": pl.Int64,
    "user_embedding": pl.List(pl.Float32),
    "context": pl.List(pl.Struct({"name": pl.String, "value": pl.String})),
    "history": pl.List(
        pl.Struct(
            {"item_id": pl.String, "action_type": pl.String, "event_time": pl.Int64, "embedding": pl.List(pl.Float32)}
        )
    ),
}


def request_frame(records: Sequence[Any]) -> pl.DataFrame:
    """One row for each record, with the columns that features are made of."""
    columns = {f"request_{name}": pl.Series([each[name] for each in records], dtype=TYPES[name]) for name in TYPES}
    earlier = pl.Series([each.get("previous") for each in records], dtype=PREVIOUS_TYPE)
    return pl.DataFrame(columns).with_columns(earlier.alias(PREVIOUS))
