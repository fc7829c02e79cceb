"""Sets up what a long-running command writes to stderr: one line per event."""

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
"""A library's line that repeats is written at most once in this many seconds."""
REMEMBERED = 200
"""How many recently written lines are remembered."""
CLIENT_ERRORS = "aiokafka.errors"


def log_to_stderr() -> None:
    """Writes our own log lines from level info, and those of libraries from level warning."""
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
    """False for a TrimtabError: it is reported once, when it ends the process, with its fix and without traceback."""
    return record.exc_info is None or not isinstance(record.exc_info[1], TrimtabError)


def _short(record: logging.LogRecord) -> bool:
    """Replaces the traceback of a Kafka client's error by its text, which says all that is useful; always True."""
    fault = None if record.exc_info is None else record.exc_info[1]
    if fault is not None and type(fault).__module__ == CLIENT_ERRORS:
        record.msg, record.args, record.exc_info = f"{record.getMessage()}: {fault!r}", (), None
    return True


class Repeats:
    """A filter that drops a line written recently, and later says how often it did; `clock` is in seconds."""

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
            record.msg, record.args = f"{text} (repeated {held_back} times before)", ()
        self._written[line] = self._clock(), 0
        self._written.move_to_end(line)
        if len(self._written) > REMEMBERED:
            self._written.popitem(last=False)
        return True
