"""One record of a partitioned log, as every reader sees it."""

from __future__ import annotations

from typing import NamedTuple


class LogRecord(NamedTuple):
    """One record at its place in a log.

    `append_time` is the broker's LogAppendTime in milliseconds since the epoch; `key` and `value` are the raw bytes.
    A tuple and not a dataclass: one is made for every record that is read.
    """

    topic: str
    partition: int
    offset: int
    append_time: int
    key: bytes | None
    value: bytes | None
