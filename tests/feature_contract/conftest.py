"""A request and the contract it fits."""

from collections.abc import Callable
from typing import Any

import pytest

from feature_contract import FeatureContract
from feature_contract.contract import ContextFeature

NOW = 1_700_000_000_000
MINUTE = 60_000


CONTRACT = FeatureContract(
    user_embedding_dim=2,
    history_length=3,
    item_embedding_dim=2,
    context=(
        ContextFeature("surface", "category", True),
        ContextFeature("device", "category", False),
        ContextFeature("hour", "number", True),
        ContextFeature("tenure", "number", False),
    ),
    hash_buckets=32,
)


@pytest.fixture
def contract() -> FeatureContract:
    return CONTRACT


@pytest.fixture
def make_request() -> Callable[..., Any]:
    def make(**changes: Any) -> Any:
        context = {"surface": "home", "device": "ios", "hour": "13", "tenure": "2.5"} | changes.pop("context", {})
        request = {
            "request_id": "r",
            "event_time": NOW,
            "user_id": None,
            "session_id": None,
            "cohort": None,
            "user_embedding": [0.25, -1.0],
            "context": [{"name": name, "value": value} for name, value in context.items() if value is not None],
            "history": [
                {"item_id": "b", "action_type": "save", "event_time": NOW - 10 * MINUTE, "embedding": [1.0, 2.0]},
                {"item_id": "a", "action_type": "click", "event_time": NOW - MINUTE, "embedding": [3.0, 4.0]},
            ],
        }
        return request | changes

    return make
