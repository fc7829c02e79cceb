"""One record of a partitioned log, in the form that every reader uses."""

from __future__ import annotations

from typing import NamedTuple


class LogRecord(NamedTuple):
    """One record and its position in the log.

    `append_time` is the broker's LogAppendTime in milliseconds since the epoch; `key` and `value` are the raw bytes.
    It is a tuple and not a dataclass because tuples are cheaper and one is created for every record read.
    """

    topic: str
    partition: int
    offset: int
    append_time: int
    key: bytes | None
    value: bytes | None
