"""What a long-running command writes to stderr: one line per event."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

import structlog

from event_schemas.errors import TrimtabError

LINE_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
REPEATED_SECONDS = 30.0
"""A library's line is written once in so many seconds."""
REMEMBERED = 200
"""Lines that are known to have been written."""
CLIENT_ERRORS = "aiokafka.errors"


def log_to_stderr() -> None:
    """Our own log lines from level info, those of libraries from level warning."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_not_told_elsewhere)
    handler.addFilter(_short)
    handler.addFilter(Repeats())
    logging.basicConfig(level=logging.WARNING, format=LINE_FORMAT, handlers=[handler])
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _not_told_elsewhere(record: logging.LogRecord) -> bool:
    """A TrimtabError that ends a process is told once, at its end, with its fix and without a traceback."""
    return record.exc_info is None or not isinstance(record.exc_info[1], TrimtabError)


def _short(record: logging.LogRecord) -> bool:
    """What the broker answered is told by the error's own words; where in the client it came up helps nobody."""
    fault = None if record.exc_info is None else record.exc_info[1]
    if fault is not None and type(fault).__module__ == CLIENT_ERRORS:
        record.msg, record.args, record.exc_info = f"{record.getMessage()}: {fault!r}", (), None
    return True


class Repeats:
    """A filter that holds back a line that was written a moment ago, and says how often; `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._written: OrderedDict[tuple[str, ...], tuple[float, int]] = OrderedDict()

    def __call__(self, record: logging.LogRecord) -> bool:
        """Whether to write the record."""
        with self._lock:
            return self._take(record)

    def _take(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        line = record.name, text, "" if record.exc_info is None else repr(record.exc_info[1])
        written, held_back = self._written.get(line, (None, 0))
        if written is not None and self._clock() - written < REPEATED_SECONDS:
            self._written[line] = written, held_back + 1
            return False
        if held_back:
            record.msg, record.args = f"{text} (and {held_back} times before)", ()
        self._written[line] = self._clock(), 0
        self._written.move_to_end(line)
        if len(self._written) > REMEMBERED:
            self._written.popitem(last=False)
        return True
