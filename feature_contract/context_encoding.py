"""Context features: categories to hashed ids, numbers to floats."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from event_schemas.records import RequestRecord
from event_schemas.shown_text import shown
from feature_contract.missing_features import QUOTED_CHARACTERS, AbsurdFeature, MissingFeatures
from feature_contract.number_range import NumberRange
from feature_contract.stable_buckets import MISSING_BUCKET, bucket

Context = Mapping[str, str]


def context_of(request: RequestRecord) -> Context:
    """The request's context as name -> value; if a name occurs twice, the last value counts."""
    return {feature["name"]: feature["value"] for feature in request["context"]}


def category_ids(contexts: Sequence[Context], names: Sequence[tuple[str, bool]], buckets: int) -> NDArray[np.int64]:
    """int64[n, C] bucket ids; `names` are (name, required). Raises MissingFeatures."""
    ids = [[_category_id(context, name, required, buckets) for name, required in names] for context in contexts]
    return np.asarray(ids, dtype=np.int64).reshape(len(contexts), len(names))


def _category_id(context: Context, name: str, required: bool, buckets: int) -> int:
    value = context.get(name)
    if value is None or value == "":
        if required:
            raise MissingFeatures(f"context.{name}", "is absent")
        return MISSING_BUCKET
    return bucket(name, value, buckets)


def number_values(
    contexts: Sequence[Context], names: Sequence[tuple[str, bool]], within: NumberRange
) -> NDArray[np.float32]:
    """float32[n, M]; `names` are (name, required). Raises MissingFeatures.

    An optional number has two columns: its value (0 if absent) and 1/0 for present/absent. Without the second, an
    absent number would look like a measured zero.
    """
    width = sum(1 if required else 2 for _, required in names)
    bound = within.largest_number
    rows = [[column for name, req in names for column in _number(context, name, req, bound)] for context in contexts]
    return within.encoded(np.asarray(rows, dtype=np.float64).reshape(len(contexts), width))


def _number(context: Context, name: str, required: bool, bound: float) -> tuple[float, ...]:
    text = context.get(name)
    if text is None or text == "":
        if required:
            raise MissingFeatures(f"context.{name}", "is absent")
        return (0.0, 0.0)
    try:
        value = float(text)
    except ValueError:
        raise MissingFeatures(f"context.{name}", f"is {shown(text, QUOTED_CHARACTERS)}, not a number") from None
    if not abs(value) <= bound:  # a NaN is not
        raise AbsurdFeature(f"context.{name}", text, bound)
    return (value,) if required else (value, 1.0)
