"""The history arrays."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from feature_contract.history_encoding import HistoryShape, history_arrays
from feature_contract.missing_features import MissingFeatures
from feature_contract.number_range import NUMBER_RANGES
from feature_contract.stable_buckets import bucket

PLAIN = NUMBER_RANGES[1]
NOW = 1_700_000_000_000
MINUTE = 60_000


def item(minutes_ago: float, action: str = "click", embedding: list[float] | None = None) -> dict[str, Any]:
    at = NOW - int(minutes_ago * MINUTE)
    return {"item_id": "i", "action_type": action, "event_time": at, "embedding": embedding or []}


def test_newest_first_and_padded(make_request: Callable[..., Any]) -> None:
    arrays = history_arrays([make_request()], HistoryShape(3, 2, 32), PLAIN)
    assert arrays["history_mask"].tolist() == [[1.0, 1.0, 0.0]]
    assert arrays["history_items"].tolist() == [[[3.0, 4.0], [1.0, 2.0], [0.0, 0.0]]]
    expected = [bucket("history.action_type", "click", 32), bucket("history.action_type", "save", 32), 0]
    assert arrays["history_actions"].tolist() == [expected]
    np.testing.assert_allclose(arrays["history_ages"], [[np.log(2.0), np.log(11.0), 0.0]], rtol=1e-6)


def test_only_the_newest_items_are_kept(make_request: Callable[..., Any]) -> None:
    request = make_request(history=[item(minutes) for minutes in (50, 10, 30, 20, 40)])
    ages = history_arrays([request], HistoryShape(2, 0, 32), PLAIN)["history_ages"]
    np.testing.assert_allclose(ages, [[np.log(11.0), np.log(21.0)]], rtol=1e-6)


def test_of_items_of_one_millisecond_the_last_listed_is_the_newest(make_request: Callable[..., Any]) -> None:
    request = make_request(history=[item(1, "first"), item(1, "second"), item(1, "third")])
    actions = history_arrays([request], HistoryShape(2, 0, 1024), PLAIN)["history_actions"]
    assert actions.tolist() == [[bucket("history.action_type", name, 1024) for name in ("third", "second")]]


def test_an_item_after_its_request_has_age_zero(make_request: Callable[..., Any]) -> None:
    assert history_arrays([make_request(history=[item(-5)])], HistoryShape(1, 0, 32), PLAIN)[
        "history_ages"
    ].tolist() == [[0.0]]


def test_an_empty_embedding_reads_as_zeros(make_request: Callable[..., Any]) -> None:
    arrays = history_arrays([make_request(history=[item(1)])], HistoryShape(1, 2, 32), PLAIN)
    assert arrays["history_items"].tolist() == [[[0.0, 0.0]]]
    assert arrays["history_mask"].tolist() == [[1.0]]


@pytest.mark.parametrize("embedding", [[1.0], [1.0, 2.0, 3.0], [float("inf"), 0.0]])
def test_a_broken_embedding_is_refused(make_request: Callable[..., Any], embedding: list[float]) -> None:
    request = make_request(history=[item(1, embedding=[1.0, 2.0]), item(2, embedding=embedding)])
    with pytest.raises(MissingFeatures) as caught:
        history_arrays([request], HistoryShape(3, 2, 32), PLAIN)
    assert caught.value.feature == "history[1].embedding"
