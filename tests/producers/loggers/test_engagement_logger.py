"""Engagements reach the log once, with an id that a retry repeats."""

from __future__ import annotations

from event_schemas.codec import Codec
from event_schemas.registry import Registry
from producers.delivery.memory_log import MemoryLog
from producers.loggers.engagement_logger import EngagementLogger, engagement_id_of
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


def test_other_content_is_another_engagement() -> None:
    contents: list[tuple[str, str, int, str | None, float]] = [
        ("r1", "click", 77, "i9", 1.0),
        ("r2", "click", 77, "i9", 1.0),
        ("r1", "save", 77, "i9", 1.0),
        ("r1", "click", 78, "i9", 1.0),
        ("r1", "click", 77, None, 1.0),
        ("r1", "click", 77, "", 1.0),
        ("r1", "click", 77, "i9", 2.0),
    ]
    assert len({engagement_id_of(*content) for content in contents}) == len(contents)


def test_an_engagement_without_a_valid_value_is_dropped_not_raised() -> None:
    log = MemoryLog()
    logger = EngagementLogger(CODEC, log, "events")
    logger.log("r1", "click", event_time="soon")  # type: ignore[arg-type]
    counts = logger.close()
    assert (counts.handed_in, counts.dropped) == (1, 1)
