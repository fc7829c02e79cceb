"""What a long-running command writes to stderr: one line per event."""

from __future__ import annotations

import logging
import sys

import structlog

from event_schemas.errors import TrimtabError

FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


def log_to_stderr() -> None:
    """Our own log lines from level info, those of libraries from level warning."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_not_told_elsewhere)
    logging.basicConfig(level=logging.WARNING, format=FORMAT, handlers=[handler])
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
    """A TrimtabError that ends a process is told once, at its end, with its mend and without a traceback."""
    return record.exc_info is None or not isinstance(record.exc_info[1], TrimtabError)
