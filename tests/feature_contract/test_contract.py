"""FeatureContract: what it encodes, what it refuses, and when its digest changes."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from event_schemas.experiment import Experiment
from feature_contract import AbsurdFeature, FeatureContract, MissingFeatures, known_contracts
from feature_contract.contract import ENCODING_VERSION
from feature_contract.previous_encoding import PreviousShape, WeightRange

Make = Callable[..., Any]
DIGEST_0_1_0 = "3ca084959fa676f95acc3cda3e5649dc8e4f692ecd46d76f036eaeb88bdc99c4"
PREVIOUS = PreviousShape(2, (WeightRange("repin", 10.0, 200.0),))


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


ABSURD = st.floats(1.0001e20, 1e300) | st.sampled_from([math.inf, 1e30, 1e39])


@given(size=ABSURD, sign=st.sampled_from([1, -1]), place=st.sampled_from(["hour", "tenure", "user", "history"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_absurd_number_is_refused_and_named_wherever_it_is(
    contract: FeatureContract, make_request: Make, size: float, sign: int, place: str
) -> None:
    value = sign * size
    item = {"item_id": "a", "action_type": "click", "event_time": 5, "embedding": [0.5, value]}
    request, feature = {
        "hour": (make_request(context={"hour": repr(value)}), "context.hour"),
        "tenure": (make_request(context={"tenure": repr(value)}), "context.tenure"),
        "user": (make_request(user_embedding=[value, 0.0]), "user_embedding"),
        "history": (make_request(history=[item]), "history[0].embedding"),
    }[place]
    faults = contract.faults([make_request(), request, make_request()])
    assert list(faults) == [1]
    assert isinstance(faults[1], AbsurdFeature)
    assert (faults[1].feature, len(faults[1].value) < 50) == (feature, True)


@given(
    st.lists(st.floats(-1e20, 1e20), min_size=2, max_size=2),
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=2),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_let_in_is_small_enough_to_be_normalised(
    contract: FeatureContract, make_request: Make, numbers: list[float], embedding: list[float]
) -> None:
    item = {"item_id": "a", "action_type": "click", "event_time": -(2**62), "embedding": embedding}
    context = {"hour": repr(numbers[0]), "tenure": repr(numbers[1])}
    encoded = contract.encode([make_request(context=context, user_embedding=embedding, history=[item])])
    for name, array in encoded.items():
        assert np.isfinite(array).all()
        assert name.endswith(("ids", "actions")) or np.abs(array).max() < 500


def test_a_checkpoint_of_version_0_1_0_finds_its_encoding(contract: FeatureContract, make_request: Make) -> None:
    first = replace(contract, encoding=1)
    assert first.digest == DIGEST_0_1_0, "the digest that its manifest carries"
    assert contract.digest != first.digest
    large = make_request(context={"hour": "1e30"}, user_embedding=[1e30, 20.0])
    assert first.encode([large])["user_embedding"].tolist() == [[float(np.float32(1e30)), 20.0]]
    assert first.encode([large])["context_numbers"][0, 0] == np.float32(1e30)
    ordinary = make_request()
    for name, array in first.encode([ordinary]).items():
        if name != "context_numbers":
            np.testing.assert_array_equal(array, contract.encode([ordinary])[name])


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
        replace(contract, encoding=1),
        replace(contract, previous=PREVIOUS),
        replace(contract, previous=replace(PREVIOUS, length=3)),
        replace(contract, previous=replace(PREVIOUS, ranges=(WeightRange("repin", 10.0, 201.0),))),
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
    known = known_contracts(Experiment.model_validate(document))
    assert [found.encoding for found in known.values()] == [ENCODING_VERSION, 1], "the newest first"
    assert next(iter(known)) == contract.digest


def test_earlier_weights_are_a_feature_only_where_the_file_says_so(make_request: Make) -> None:
    document: dict[str, Any] = {
        "experiment": {"name": "e", "salt": "s"},
        "weights": [{"name": "w", "production": 1, "low": 0, "high": 2, "steps": 3}],
        "objectives": [{"name": "o", "kinds": ["o"], "attribution": "1m"}],
        "features": {"user_embedding_dim": 2, "previous_length": 0},
    }
    without = FeatureContract.from_experiment(Experiment.model_validate(document))
    assert without.previous is None and "previous" not in without.as_dict(), "digests of older files stay as they are"
    document["features"]["previous_length"] = 2
    contract = FeatureContract.from_experiment(Experiment.model_validate(document))
    ranges = [{"name": "w", "low": 0.0, "high": 2.0}]
    assert json.loads(json.dumps(contract.as_dict()))["previous"] == {"length": 2, "ranges": ranges}
    previous = [{"event_time": 1_700_000_000_000, "weights": [0.5]}]
    encoded = contract.encode([make_request(previous=previous), make_request()])
    assert encoded["previous_weights"].tolist() == [[[0.25], [0.0]], [[0.0], [0.0]]]
    assert encoded["previous_mask"].tolist() == [[1.0, 0.0], [0.0, 0.0]]
    assert len({found.digest for found in known_contracts(Experiment.model_validate(document)).values()}) == 2
