"""A frame's requests as columns, whole, in part, and where lists are missing."""

from typing import Any

import polars as pl

from learner.examples.previous_fill import PREVIOUS
from learner.examples.request_columns import request_columns
from tests.request_frames import request_frame


def record(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "event_time": number,
        "user_embedding": [float(number)] * number,
        "context": [{"name": f"n{number}", "value": f"v{number}"}],
        "history": [
            {"item_id": "i", "action_type": f"a{place}", "event_time": place, "embedding": [0.5]}
            for place in range(number)
        ],
        "previous": [{"event_time": 7, "weights": [1.0, 2.0]}] * number,
        **changes,
    }


def test_lists_lie_one_after_the_other() -> None:
    found = request_columns(request_frame([record(number) for number in range(3)]))
    assert found.rows == 3 and found.event_time.tolist() == [0, 1, 2]
    assert found.user_embedding.values.tolist() == [1.0, 2.0, 2.0]
    assert found.user_embedding.lists.lengths.tolist() == [0, 1, 2]
    texts = found.context_names
    assert [texts.names[code] for code in texts.codes] == ["n0", "n1", "n2"]
    assert found.history.lists.lengths.tolist() == [0, 1, 2] and found.history.time.tolist() == [0, 0, 1]
    assert found.previous.time.tolist() == [7] * 3 and found.previous.weights.values.tolist() == [1.0, 2.0] * 3


def test_a_part_of_a_frame_has_its_own_entries() -> None:
    frame = request_frame([record(number) for number in range(4)])
    part = request_columns(frame[2:3])
    assert part.user_embedding.values.tolist() == [2.0, 2.0]
    assert part.history.time.tolist() == [0, 1] and part.context.lengths.tolist() == [1]
    turned = request_columns(frame[[3, 1]])
    assert turned.event_time.tolist() == [3, 1] and turned.history.time.tolist() == [0, 1, 2, 0]


def test_earlier_weights_may_be_missing() -> None:
    frame = request_frame([record(1, previous=None), record(2)])
    assert request_columns(frame).previous.lists.lengths.tolist() == [0, 2]
    assert request_columns(frame.drop(PREVIOUS)).previous.lists.lengths.tolist() == [0, 0]
    assert request_columns(frame.with_columns(pl.lit([]).alias(PREVIOUS))).previous.lists.lengths.tolist() == [0, 0]
    assert request_columns(frame.clear()).rows == 0
