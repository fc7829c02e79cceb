"""Sets up what a long-running command writes to stderr: one line per event."""

from __future__ import annotations

import logging
import re
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
NORMAL_WITHIN_SECONDS = 30.0
PASSING = (
    re.compile(r"Group Coordinator Request failed: \[Error 1[56]\]"),
    re.compile(r"Heartbeat failed for group .* because it is rebalancing"),
)
"""A Kafka client's lines about normal states: the first group on a cluster has no coordinator yet, and a group whose
workers come and go rebalances."""
RETRY = "stamina.retry_scheduled"


def log_to_stderr() -> None:
    """Writes our own log lines from level info, and those of libraries from level warning."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_not_told_elsewhere)
    handler.addFilter(_short)
    handler.addFilter(NormalStates())
    handler.addFilter(Repeats())
    logging.basicConfig(level=logging.WARNING, format=LINE_FORMAT, handlers=[handler])
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _retry_in_words,
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


def _retry_in_words(_: object, method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:  # noqa: ARG001
    """A retry is no fault: its line says after what, and how soon, something is asked again."""
    if line["event"] != RETRY:
        return line
    return {
        "level": "info",
        "event": "asking again",
        "after": line.get("caused_by"),
        "seconds": line.get("wait_for"),
    }


class NormalStates:
    """A filter that makes lines of PASSING level info until they have come for a while; always lets a line through."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is in seconds."""
        self._clock = clock
        self._seen: dict[re.Pattern[str], tuple[float, float]] = {}

    def __call__(self, record: logging.LogRecord) -> bool:
        """True."""
        text = record.getMessage()
        state = next((each for each in PASSING if each.match(text)), None)
        if state is not None:
            now = self._clock()
            since, last = self._seen.get(state, (now, now))
            since = since if now - last < NORMAL_WITHIN_SECONDS else now
            self._seen[state] = since, now
            if now - since < NORMAL_WITHIN_SECONDS:
                record.levelno, record.levelname = logging.INFO, "INFO"
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
