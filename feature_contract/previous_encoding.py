"""Encodes the weights that the user was served before: each normalised as in an arm's features, and the age of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from event_schemas.records import PreviousWeightsRecord, RequestRecord
from feature_contract.float_rows import require_within
from feature_contract.log_ages import log_ages
from feature_contract.missing_features import MissingFeatures
from feature_contract.model_input import PREVIOUS_AGES, PREVIOUS_MASK, PREVIOUS_WEIGHTS, Array
from feature_contract.number_range import NumberRange


@dataclass(frozen=True, slots=True)
class WeightRange:
    """A tuned weight with the bounds between which the experiment file lets it vary."""

    name: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PreviousShape:
    """Number of earlier decisions used per request, and the weights of each in file order."""

    length: int
    ranges: tuple[WeightRange, ...]


def previous_arrays(requests: Sequence[RequestRecord], shape: PreviousShape, within: NumberRange) -> dict[str, Array]:
    """The `length` newest earlier decisions of each request, newest first, padded with zeros at the end.

    Weights are (w − low)/(high − low) (PRL-PUTS, Eq. 6), so the weights of an arm give the arm's features. Ages are
    log(1 + minutes before the request), 0 for a later time. Raises MissingFeatures for weights of another number or
    that are not numbers, AbsurdFeature for weights that are not finite or far outside their bounds.
    """
    size = (len(requests), shape.length)
    newest = [_newest(request, shape.length) for request in requests]
    mask = np.zeros(size, dtype=np.float32)
    elapsed = np.zeros(size, dtype=np.float64)
    for row, (request, entries) in enumerate(zip(requests, newest, strict=True)):
        count = len(entries)
        mask[row, :count] = 1.0
        elapsed[row, :count] = [request["event_time"] - entry["event_time"] for entry in entries]
    return {
        PREVIOUS_WEIGHTS: _normalised_weights(newest, shape, within),
        PREVIOUS_AGES: log_ages(elapsed),
        PREVIOUS_MASK: mask,
    }


def normalised(weights: NDArray[np.float64], shape: PreviousShape) -> NDArray[np.float32]:
    """(w − low)/(high − low) of weights [k, W] (PRL-PUTS, Eq. 6); not finite for weights that are not."""
    low, high = (np.array([getattr(each, end) for each in shape.ranges]) for end in ("low", "high"))
    with np.errstate(over="ignore", invalid="ignore"):
        found: NDArray[np.float32] = ((weights - low) / (high - low)).astype(np.float32)
    return found


def _newest(request: RequestRecord, length: int) -> list[PreviousWeightsRecord]:
    # Rows that were stored before the field existed lack it. Of two entries with one time the record's first is newer.
    given = request.get("previous") or []
    return sorted(given, key=lambda entry: -entry["event_time"])[:length]


def _normalised_weights(
    newest: Sequence[Sequence[PreviousWeightsRecord]], shape: PreviousShape, within: NumberRange
) -> NDArray[np.float32]:
    """float32[n, P, W]."""
    width = len(shape.ranges)
    places = [(row, slot) for row, entries in enumerate(newest) for slot in range(len(entries))]
    vectors = [entry["weights"] for entries in newest for entry in entries]
    for (_, slot), vector in zip(places, vectors, strict=True):
        if len(vector) != width:
            raise MissingFeatures(f"previous[{slot}].weights", f"has {len(vector)} values instead of {width}")
    try:
        weights = np.asarray(vectors, dtype=np.float64).reshape(len(vectors), width)
    except (TypeError, ValueError):
        raise MissingFeatures("previous.weights", "contains a value that is not a number") from None
    values = normalised(weights, shape)
    require_within(values, within.largest_number, lambda index: f"previous[{places[index][1]}].weights")
    encoded = np.zeros((len(newest), shape.length, width), dtype=np.float32)
    if places:
        rows, slots = zip(*places, strict=True)
        encoded[rows, slots] = within.encoded(values)
    return encoded
