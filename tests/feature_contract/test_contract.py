"""FeatureContract: what it encodes, what it refuses, and when its digest changes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract, MissingFeatures

Make = Callable[..., Any]


def test_arrays_have_the_documented_shapes_and_types(contract: FeatureContract, make_request: Make) -> None:
    encoded = contract.encode([make_request(), make_request()])
    shapes = {name: (array.dtype.name, array.shape) for name, array in encoded.items()}
    assert shapes == {
        "user_embedding": ("float32", (2, 2)),
        "context_ids": ("int64", (2, 2)),
        "context_numbers": ("float32", (2, 3)),
        "history_items": ("float32", (2, 3, 2)),
        "history_actions": ("int64", (2, 3)),
        "history_ages": ("float32", (2, 3)),
        "history_mask": ("float32", (2, 3)),
    }


def test_a_request_is_encoded_the_same_alone_and_in_a_batch(contract: FeatureContract, make_request: Make) -> None:
    requests = [make_request(context={"surface": f"s{i}"}, user_embedding=[i, i]) for i in range(5)]
    together = contract.encode(requests)
    for row, request in enumerate(requests):
        for name, array in contract.encode([request]).items():
            np.testing.assert_array_equal(array[0], together[name][row])


def test_dimensions_of_zero_are_left_out(make_request: Make) -> None:
    bare = FeatureContract(0, 0, 0, (), 16)
    assert dict(bare.encode([make_request()])) == {}
    no_items = FeatureContract(0, 2, 0, (), 16)
    assert set(no_items.encode([make_request()])) == {"history_actions", "history_ages", "history_mask"}


def test_no_requests_give_empty_arrays(contract: FeatureContract) -> None:
    assert {len(array) for array in contract.encode([]).values()} == {0}


@pytest.mark.parametrize(
    ("changes", "feature"),
    [
        ({"user_embedding": []}, "user_embedding"),
        ({"user_embedding": [1.0]}, "user_embedding"),
        ({"user_embedding": [1.0, float("nan")]}, "user_embedding"),
        ({"user_embedding": [1.0, 1e39]}, "user_embedding"),
        ({"user_embedding": [1.0, "x"]}, "user_embedding"),
        ({"context": {"surface": None}}, "context.surface"),
        ({"context": {"surface": ""}}, "context.surface"),
        ({"context": {"hour": None}}, "context.hour"),
        ({"context": {"hour": "noon"}}, "context.hour"),
        ({"context": {"hour": "inf"}}, "context.hour"),
    ],
)
def test_a_missing_required_feature_is_named(
    contract: FeatureContract, make_request: Make, changes: dict[str, Any], feature: str
) -> None:
    with pytest.raises(MissingFeatures) as caught:
        contract.encode([make_request(), make_request(**changes)])
    assert caught.value.feature == feature
    assert feature in caught.value.what


def test_encodable_finds_exactly_the_bad_rows(contract: FeatureContract, make_request: Make) -> None:
    requests = [make_request() if i % 3 else make_request(user_embedding=[]) for i in range(10)]
    assert contract.encodable(requests).tolist() == [bool(i % 3) for i in range(10)]
    assert contract.encodable([]).tolist() == []


def test_the_digest_changes_with_every_field(contract: FeatureContract) -> None:
    others = [
        replace(contract, user_embedding_dim=3),
        replace(contract, history_length=4),
        replace(contract, item_embedding_dim=3),
        replace(contract, hash_buckets=33),
        replace(contract, context=contract.context[:-1]),
        replace(contract, context=(replace(contract.context[0], required=False), *contract.context[1:])),
    ]
    assert len({contract.digest, *(other.digest for other in others)}) == len(others) + 1


def test_the_contract_comes_from_the_experiment_file() -> None:
    document = {
        "experiment": {"name": "e", "salt": "s"},
        "weights": [{"name": "w", "production": 1, "low": 0, "high": 2, "steps": 3}],
        "objectives": [{"name": "o", "kinds": ["o"], "attribution": "1m"}],
        "features": {"user_embedding_dim": 2, "context": [{"name": "hour", "kind": "number", "required": True}]},
    }
    contract = FeatureContract.from_experiment(Experiment.model_validate(document))
    assert contract.numbers == (("hour", True),)
    assert contract.as_dict()["context"] == [{"name": "hour", "kind": "number", "required": True}]
    assert len(contract.digest) == 64
