"""Engagements reach the log once, with an id that a retry repeats."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from event_schemas.codec import Codec
from event_schemas.registry import Registry
from producers.delivery.memory_log import MemoryLog
from producers.loggers.engagement_logger import EngagementLogger
from producers.loggers.engagement_record import InvalidEngagement
from producers.topics.key_partition import partition_of

CODEC = Codec(Registry.bundled())


def test_an_engagement_lies_with_its_decision() -> None:
    log = MemoryLog()
    logger = EngagementLogger(CODEC, log, "events")
    given = logger.log("r1", "click", event_time=77, item_id="i9", value=2.0, engagement_id="e1")
    assert logger.close().acknowledged == 1
    (record,) = log.records("events")
    assert (given, record.key, record.partition) == ("e1", b"r1", partition_of(b"r1", 4))
    assert CODEC.decode(record.value).record == {
        "engagement_id": "e1",
        "request_id": "r1",
        "event_time": 77,
        "kind": "click",
        "item_id": "i9",
        "value": 2.0,
    }


def test_a_retry_is_the_same_bytes() -> None:
    log = MemoryLog()
    logger = EngagementLogger(CODEC, log, "events")
    ids = {logger.log("r1", "click", event_time=77, item_id="i9") for _ in range(2)}
    logger.flush()
    logger.close()
    assert len(ids) == 1
    assert len({record.value for record in log.records("events")}) == 1


def test_an_engagement_without_a_valid_value_is_dropped_not_raised() -> None:
    log = MemoryLog()
    logger = EngagementLogger(CODEC, log, "events", kinds=["click"], clock=lambda: 1_574_553_600_000)
    with capture_logs() as lines:
        assert logger.log("r1", "click", event_time="soon") == ""  # type: ignore[arg-type]
        assert logger.log("r1", "click", event_time=77, value=-1.0, engagement_id="e1") == "e1"
        assert logger.log("r1", "Click", event_time=77) == ""
        assert logger.log("r1", "click", event_time=1_574_553_600) == ""
        assert logger.log("r1", "another", event_time=77) != ""
    counts = logger.close()
    assert (counts.handed_in, counts.dropped, counts.acknowledged) == (5, 4, 1)
    assert [line["what"] for line in lines] == [
        "event_time = 'soon' is not a whole number",
        "value = -1.0 is not between 0 and 1e+12",
        "kind = 'Click' is not declared, but 'click' is",
        "event_time = 1574553600 is 1970-01-19: it looks like seconds",
    ]


def test_who_asks_for_it_is_told_at_once() -> None:
    logger = EngagementLogger(CODEC, MemoryLog(), "events")
    with pytest.raises(InvalidEngagement, match="request_id is empty"):
        logger.log_sound("", "click", event_time=77)
    assert logger.close().handed_in == 0


class Hostile:
    """Raises whenever it is looked at."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __float__(self) -> float:
        raise RuntimeError("float")

    def __index__(self) -> int:
        raise ValueError("index")

    def __bool__(self) -> bool:
        raise RuntimeError("bool")

    __repr__ = __str__ = __bool__  # type: ignore[assignment]


@pytest.mark.parametrize("field", ["request_id", "kind", "event_time", "item_id", "value", "engagement_id"])
@pytest.mark.parametrize("kind", ["hostile", "array", "bytes", "list", "nan", "huge"])
def test_nothing_a_caller_hands_in_raises(field: str, kind: str) -> None:
    odd = {"array": np.array(["a", "b"]), "bytes": b"x", "list": [], "nan": float("nan"), "huge": 10**400}.get(kind)
    logger = EngagementLogger(CODEC, MemoryLog(), "events")
    given: dict[str, Any] = {"request_id": "r1", "kind": "click", "event_time": 77, "engagement_id": "e1"}
    given[field] = Hostile() if kind == "hostile" else odd
    with capture_logs():
        assert isinstance(logger.log(**given), str)
    counts = logger.close()
    assert counts.handed_in == 1


def test_a_clock_that_fails_costs_the_event_and_no_more() -> None:
    logger = EngagementLogger(CODEC, MemoryLog(), "events", clock=Hostile().__index__)
    with capture_logs():
        assert logger.log("r1", "click", event_time=77, engagement_id="e1") == "e1"
    assert logger.close().dropped == 1
