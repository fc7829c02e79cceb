"""The features that a policy network reads from a request: their encoding and its digest."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from event_schemas.action_space import section_digest
from event_schemas.experiment import Experiment
from event_schemas.records import RequestRecord
from feature_contract.column_encoding import (
    category_columns,
    embedding_columns,
    history_columns,
    number_columns,
    previous_columns,
)
from feature_contract.context_encoding import category_ids, context_of, number_values
from feature_contract.float_rows import float32_rows, require_within
from feature_contract.history_encoding import HistoryShape, history_arrays
from feature_contract.missing_features import MissingFeatures
from feature_contract.model_input import CONTEXT_IDS, CONTEXT_NUMBERS, USER_EMBEDDING, Array, ModelInput
from feature_contract.number_range import NUMBER_RANGES, NumberRange
from feature_contract.previous_encoding import PreviousShape, WeightRange, previous_arrays
from feature_contract.request_columns import RequestColumns

ENCODING_VERSION = 2
"""The newest version, which the learner trains with. It is part of the digest: raise it whenever the same request would
give different arrays, and keep the old version for checkpoints that were trained with it."""


@dataclass(frozen=True)
class ContextFeature:
    """One named context value."""

    name: str
    kind: Literal["category", "number"]
    required: bool


@dataclass(frozen=True)
class FeatureContract:
    """The features of an experiment and their encoding; equal digests mean equal arrays.

    Version 1 of the encoding uses numbers unchanged. Version 2 refuses absurd numbers and encodes large ones by their
    logarithm (see number_range). `previous` is None if earlier weights are not a feature.
    """

    user_embedding_dim: int
    history_length: int
    item_embedding_dim: int
    context: tuple[ContextFeature, ...]
    hash_buckets: int
    encoding: int = ENCODING_VERSION
    previous: PreviousShape | None = None

    @classmethod
    def from_experiment(cls, experiment: Experiment, encoding: int = ENCODING_VERSION) -> Self:
        """The contract that the experiment file's `[features]` section declares, in a version of the encoding."""
        spec = experiment.features
        return cls(
            user_embedding_dim=spec.user_embedding_dim,
            history_length=spec.history_length,
            item_embedding_dim=spec.item_embedding_dim,
            context=tuple(ContextFeature(c.name, c.kind, c.required) for c in spec.context),
            hash_buckets=spec.hash_buckets,
            encoding=encoding,
            previous=_previous_shape(experiment),
        )

    def as_dict(self) -> dict[str, Any]:
        """The contract as JSON values; a checkpoint's manifest carries it as `feature_spec`.

        `previous` is left out if it is None: contracts without it keep the digests that older checkpoints carry.
        """
        content = {
            "encoding": self.encoding,
            "user_embedding_dim": self.user_embedding_dim,
            "history_length": self.history_length,
            "item_embedding_dim": self.item_embedding_dim,
            "context": [{"name": c.name, "kind": c.kind, "required": c.required} for c in self.context],
            "hash_buckets": self.hash_buckets,
        }
        return content if self.previous is None else content | {"previous": asdict(self.previous)}

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the canonical JSON of `as_dict()`."""
        return section_digest(self.as_dict())

    @cached_property
    def categories(self) -> tuple[tuple[str, bool], ...]:
        """(name, required) of the categorical context features, in file order."""
        return tuple((c.name, c.required) for c in self.context if c.kind == "category")

    @cached_property
    def numbers(self) -> tuple[tuple[str, bool], ...]:
        """(name, required) of the numeric context features, in file order."""
        return tuple((c.name, c.required) for c in self.context if c.kind == "number")

    @property
    def number_columns(self) -> int:
        """M, the width of `context_numbers`: an optional number also has a present/absent column."""
        return sum(1 if required else 2 for _, required in self.numbers)

    def encode(self, requests: Sequence[RequestRecord]) -> ModelInput:
        """The arrays of `requests`, one row each, in order.

        Raises MissingFeatures if any of them lacks a required feature, AbsurdFeature if one has an absurd number;
        `faults` finds out which.
        """
        arrays: dict[str, Array] = {}
        within = NUMBER_RANGES[self.encoding]
        if self.user_embedding_dim:
            arrays[USER_EMBEDDING] = _user_embeddings(requests, self.user_embedding_dim, within)
        if self.context:
            contexts = [context_of(request) for request in requests]
            if self.categories:
                arrays[CONTEXT_IDS] = category_ids(contexts, self.categories, self.hash_buckets)
            if self.numbers:
                arrays[CONTEXT_NUMBERS] = number_values(contexts, self.numbers, within)
        if self.history_length:
            shape = HistoryShape(self.history_length, self.item_embedding_dim, self.hash_buckets)
            arrays |= history_arrays(requests, shape, within)
        if self.previous is not None:
            arrays |= previous_arrays(requests, self.previous, within)
        return ModelInput(arrays, len(requests))

    def encode_columns(self, columns: RequestColumns) -> tuple[ModelInput, NDArray[np.bool_]]:
        """What `encode` gives for the same requests, and bool[n]: which of them it refuses; those have zeros.

        `faults` says why, for the records of those requests.
        """
        arrays: dict[str, Array] = {}
        broken = np.zeros(columns.rows, dtype=bool)
        within = NUMBER_RANGES[self.encoding]
        found: list[tuple[dict[str, Array], NDArray[np.bool_]]] = []
        if self.user_embedding_dim:
            found.append(
                _named(USER_EMBEDDING, embedding_columns(columns.user_embedding, self.user_embedding_dim, within))
            )
        if self.categories:
            found.append(_named(CONTEXT_IDS, category_columns(columns, self.categories, self.hash_buckets)))
        if self.numbers:
            found.append(_named(CONTEXT_NUMBERS, number_columns(columns, self.numbers, within)))
        if self.history_length:
            shape = HistoryShape(self.history_length, self.item_embedding_dim, self.hash_buckets)
            found.append(history_columns(columns, shape, within))
        if self.previous is not None:
            found.append(previous_columns(columns, self.previous, within))
        for part, refused in found:
            arrays |= part
            broken |= refused
        for array in arrays.values():
            array[broken] = 0
        return ModelInput(arrays, columns.rows), broken

    def faults(self, requests: Sequence[RequestRecord]) -> dict[int, MissingFeatures]:
        """The errors of the requests that cannot be encoded, by position; fast if there are few of them."""
        try:
            self.encode(requests)
        except MissingFeatures as fault:
            if len(requests) == 1:
                return {0: fault}
            middle = len(requests) // 2
            later = self.faults(requests[middle:])
            return self.faults(requests[:middle]) | {middle + row: found for row, found in later.items()}
        return {}

    def encodable(self, requests: Sequence[RequestRecord]) -> NDArray[np.bool_]:
        """bool[n]: which requests can be encoded."""
        good = np.ones(len(requests), dtype=bool)
        good[list(self.faults(requests))] = False
        return good


def known_contracts(experiment: Experiment) -> dict[str, FeatureContract]:
    """The experiment's contract in every version of the encoding, by digest, newest first.

    A checkpoint is scored with the version that it was trained with.
    """
    versions = (FeatureContract.from_experiment(experiment, encoding) for encoding in sorted(NUMBER_RANGES)[::-1])
    return {contract.digest: contract for contract in versions}


def _previous_shape(experiment: Experiment) -> PreviousShape | None:
    length = experiment.features.previous_length
    ranges = (WeightRange(weight.name, weight.low, weight.high) for weight in experiment.weights)
    return PreviousShape(length, tuple(ranges)) if length else None


def _named(name: str, found: tuple[Array, NDArray[np.bool_]]) -> tuple[dict[str, Array], NDArray[np.bool_]]:
    return {name: found[0]}, found[1]


def _user_embeddings(requests: Sequence[Mapping[str, Any]], dim: int, within: NumberRange) -> NDArray[np.float32]:
    """float32[n, U]."""
    for request in requests:
        if len(request["user_embedding"]) != dim:
            found = len(request["user_embedding"])
            raise MissingFeatures(USER_EMBEDDING, f"has {found} values instead of {dim}" if found else "is absent")
    rows = [request["user_embedding"] for request in requests]
    embeddings = float32_rows(rows, dim, USER_EMBEDDING)
    require_within(embeddings, within.largest_component, lambda _: USER_EMBEDDING)
    return within.encoded(embeddings)
