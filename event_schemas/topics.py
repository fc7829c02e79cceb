"""The graph of the system: every topic with its key, records, writers and readers.

A test compares this table with the package docstrings. Event time is a field of the records; topics use the broker's
LogAppendTime, because retention by event time would delete historical logs at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from event_schemas import records as r
from event_schemas.units import MEBIBYTE

DEFAULT_PREFIX = "trimtab."
EVENT_BYTES = MEBIBYTE
OUTPUT_BYTES = 4 * EVENT_BYTES


@dataclass(frozen=True)
class Topic:
    """One topic; `config` holds the broker settings used to create it."""

    name: str
    key: str
    records: tuple[str, ...]
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    config: Mapping[str, str] = field(default_factory=dict)


def _config(max_bytes: int) -> dict[str, str]:
    return {
        "message.timestamp.type": "LogAppendTime",
        "cleanup.policy": "delete",
        "retention.ms": "2592000000",
        "max.message.bytes": str(max_bytes),
    }


EVENTS = Topic(
    "events",
    "request_id (UTF-8, murmur2); Heartbeat: null key, explicit partition",
    (r.REQUEST, r.ACTION, r.PROPENSITY, r.RANKING, r.ENGAGEMENT, r.HEARTBEAT),
    ("producers", "stream_processors"),
    ("stream_processors",),
    _config(EVENT_BYTES),
)
EXAMPLES = Topic(
    "examples",
    "request_id, same partition as its events",
    (r.EXAMPLE,),
    ("stream_processors",),
    ("learner",),
    _config(OUTPUT_BYTES),
)
DEAD_LETTERS = Topic(
    "dead-letters",
    "original key",
    (r.DEAD_LETTER,),
    ("producers", "stream_processors", "learner"),
    ("stream_processors",),
    _config(OUTPUT_BYTES),
)
TALLIES = Topic("tallies", "source", (r.TALLY,), ("producers",), ("learner",), _config(EVENT_BYTES))
EXPLORATIONS = Topic(
    "explorations",
    "digest",
    (r.EXPLORATION,),
    ("producers",),
    ("learner", "producers"),
    {**_config(EVENT_BYTES), "cleanup.policy": "compact", "retention.ms": "-1"},
)
TOPICS = (EVENTS, EXAMPLES, DEAD_LETTERS, TALLIES, EXPLORATIONS)


def join_group(prefix: str) -> str:
    """The consumer group of the join, such as `trimtab.join`."""
    return f"{prefix}join"


def topic_name(prefix: str, topic: Topic) -> str:
    """Full name of a topic, such as `trimtab.events`."""
    return f"{prefix}{topic.name}"
